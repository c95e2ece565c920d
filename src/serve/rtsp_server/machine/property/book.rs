//! What may be answered, decided without a look into the machine.

use super::*;

/// Statuses that the server may answer with.
const STATUSES: [u16; 18] =
    [200, 400, 401, 404, 405, 406, 415, 451, 453, 454, 455, 457, 459, 460, 461, 501, 503, 551];

macro_rules! rule {
    ($holds:expr, $words:literal) => {
        if !$holds {
            return Err($words.to_owned());
        }
    };
}

impl World {
    pub(super) fn check(
        &mut self,
        connection: usize,
        drawn: &Drawn,
        response: &Response,
        effect: &Effect,
        asked: &Asked,
    ) -> Result<(), String> {
        let now = self.now;
        let side = &mut self.connections[connection];
        rule!(STATUSES.contains(&response.status), "unknown status");
        rule!(response.cseq() == drawn.cseq, "CSeq not echoed");
        rule!(drawn.cseq.is_some() || response.status == 400, "no CSeq must be 400");
        if drawn.cseq.is_some() {
            side.book.iter_mut().for_each(|entry| entry.seen = now);
        }
        if response.status == 200 {
            check_success(side, drawn, asked)?;
        } else {
            let is_harmless = match effect {
                Effect::None => true,
                Effect::End(_) => response.status == 404,
                Effect::Close(_) => response.status == 503,
                _ => false,
            };
            rule!(is_harmless, "a refusal has an effect");
        }
        check_effect(side, drawn, response, effect, now)?;
        if let Effect::Attach(id) = effect {
            self.issued.push(*id);
        }
        rule!(side.book.len() <= SESSIONS_PER_CONNECTION, "too many sessions");
        Ok(())
    }
}

fn check_success(side: &Side, drawn: &Drawn, asked: &Asked) -> Result<(), String> {
    rule!(!drawn.requires, "an option nobody supports was accepted");
    let named = match drawn.session {
        Drawer::None => None,
        Drawer::Garbage => return Err("garbage taken for a session".into()),
        Drawer::Id(id) => {
            let entry = side.book.iter().find(|e| e.id == id);
            rule!(entry.is_some(), "a session of another connection, or a dead one");
            entry
        }
    };
    match drawn.request.method {
        Method::Options => return Ok(()),
        Method::Describe | Method::Setup | Method::Play => {
            let Ok(who) = drawn.who else { return Err("media without a login".into()) };
            let Some((stream, _)) = drawn.names else { return Err("no stream named".into()) };
            rule!(asked.login, "login not asked");
            rule!(asked.permits.contains(&(who, stream, true)), "no permit was given");
            rule!(asked.permits.iter().all(|p| p.2), "a denied permit was overlooked");
        }
        Method::Pause | Method::GetParameter | Method::SetParameter | Method::Teardown => {
            rule!(asked.login, "login not asked");
            let is_vouched = !matches!(drawn.who, Err(Denial::WrongCredential));
            rule!(drawn.who.is_ok() || (is_vouched && named.is_some()), "nobody vouches");
        }
        Method::Announce | Method::Record | Method::Redirect | Method::Other => {
            return Err("a method that the server does not have".into());
        }
    }
    if let (Some(entry), Ok(who)) = (named, drawn.who) {
        rule!(entry.owner == who, "a session of another principal");
    }
    Ok(())
}

fn check_effect(
    side: &mut Side,
    drawn: &Drawn,
    response: &Response,
    effect: &Effect,
    now: Instant,
) -> Result<(), String> {
    let method = drawn.request.method;
    let named = match drawn.session {
        Drawer::Id(id) => side.book.iter().position(|e| e.id == id),
        Drawer::None | Drawer::Garbage => None,
    };
    let is_ok = response.status == 200;
    match effect {
        Effect::Attach(id) => {
            rule!(method == Method::Setup && is_ok && named.is_none(), "attached out of place");
            rule!(side.book.iter().all(|e| e.id != *id), "a session id was used twice");
            let (Ok(owner), Some((stream, _))) = (drawn.who, drawn.names) else {
                return Err("attached for nobody".into());
            };
            let tracks = Vec::new();
            side.book.push(Entry { id: *id, owner, stream, playing: false, tracks, seen: now });
        }
        Effect::Start { session, .. } => {
            rule!(method == Method::Play && is_ok, "started out of place");
            let Some(entry) = side.book.iter_mut().find(|e| e.id == *session) else {
                return Err("started a session that is not there".into());
            };
            rule!(named.is_some() && drawn.session == Drawer::Id(entry.id), "started another");
            rule!(!entry.playing, "started twice");
            rule!(drawn.names.is_some_and(|(s, _)| s == entry.stream), "started another stream");
            entry.playing = true;
        }
        Effect::Stop(session) => {
            rule!(method == Method::Pause && is_ok, "stopped out of place");
            let Some(entry) = side.book.iter_mut().find(|e| e.id == *session) else {
                return Err("stopped a session that is not there".into());
            };
            rule!(entry.playing, "stopped what does not play");
            entry.playing = false;
        }
        Effect::End(session) => {
            rule!(side.book.iter().any(|e| e.id == *session), "ended what is not there");
            side.book.retain(|e| e.id != *session);
        }
        Effect::Keep => rule!(method == Method::Describe && is_ok, "kept out of place"),
        Effect::None if is_ok => {
            let plays = named.is_some_and(|index| side.book[index].playing);
            rule!(method != Method::Pause && method != Method::Teardown, "nothing was stopped");
            rule!(method != Method::Play || plays, "said to play, and does not");
        }
        Effect::None | Effect::Close(_) => {}
    }
    if method == Method::Setup && is_ok {
        check_channels(side, drawn, response, effect)
    } else {
        Ok(())
    }
}

fn check_channels(
    side: &mut Side,
    drawn: &Drawn,
    response: &Response,
    effect: &Effect,
) -> Result<(), String> {
    let id = match (effect, drawn.session) {
        (Effect::Attach(id), _) => *id,
        (_, Drawer::Id(id)) => id,
        (_, Drawer::None | Drawer::Garbage) => return Err("set up for no session".into()),
    };
    let Some((_, Some(track))) = drawn.names else { return Err("set up no track".into()) };
    let text = response.headers.get("Transport").unwrap_or_default();
    let Some((rtp, rtcp)) = Transport::parse_all(text).first().and_then(|t| t.interleaved) else {
        return Err("no channels said".into());
    };
    rule!(track < 2, "a track that is not offered");
    rule!(rtp != rtcp, "one channel for both");
    let Some(index) = side.book.iter().position(|e| e.id == id) else {
        return Err("set up for no session".into());
    };
    side.book[index].tracks.retain(|(t, _)| *t != track);
    let is_taken =
        |c: u8| side.book.iter().any(|e| e.tracks.iter().any(|(_, (a, b))| *a == c || *b == c));
    rule!(!is_taken(rtp) && !is_taken(rtcp), "channels collide");
    side.book[index].tracks.push((track, (rtp, rtcp)));
    Ok(())
}
