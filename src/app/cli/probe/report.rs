//! What `probe` prints. Nothing in it was written by the camera: numbers, our words, and the command line.

use std::fmt::Write;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::words::{self, Words};
use crate::ingest::camera::airlock::LoginUsed;
use crate::ingest::camera::probe::{Probed, ProbedTrack};
use crate::media::TrackKind;

/// A `[[camera]]` of the configuration with one profile.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub(super) camera: &'a str,
    pub(super) profile: &'a str,
    pub(super) address: SocketAddr,
    pub(super) path: &'a str,
    /// Keys and values on TLS; none: plain RTSP.
    pub(super) tls: Vec<(&'static str, String)>,
    /// User, and the reference to the password.
    pub(super) account: Option<(&'a str, &'a str)>,
}

/// All that is printed.
#[derive(Debug)]
pub(super) struct ProbeReport<'a> {
    pub(super) entry: Entry<'a>,
    pub(super) probed: &'a Probed,
}

impl ProbeReport<'_> {
    /// TOML: the findings as comments, the entry below.
    pub(super) fn text(&self) -> String {
        let (probed, mut text) = (self.probed, String::new());
        let seconds = probed.watched.as_secs_f64();
        let login = words::login(probed.login);
        line(&mut text, &format!("{} watched for {seconds:.1} s, login: {login}", self.url()));
        if let Some(peer) = probed.peer {
            let (version, ends) = (peer.version.number(), peer.not_after_text());
            line(
                &mut text,
                &format!("TLS {version}, certificate until {ends}, SHA-256 fingerprint"),
            );
            line(&mut text, &format!("  {}", peer.fingerprint));
        }
        for track in &probed.tracks {
            track_text(&mut text, track);
        }
        let bytes = probed.counts.bytes;
        line(&mut text, &format!("airlock: {bytes} bytes, {} packets", probed.counts.packets));
        dropped_text(&mut text, "  dropped: ", probed.counts.dropped());
        for quirk in &probed.quirks {
            line(&mut text, &format!("note: {quirk}"));
        }
        if let Some(reason) = probed.ended {
            line(&mut text, &format!("ended early: {reason}"));
        }
        format!("{text}\n{}", self.entry.toml(probed.login))
    }

    /// The same for machines.
    pub(super) fn json(&self) -> Value {
        let probed = self.probed;
        json!({
            "url": self.url(),
            "seconds": probed.watched.as_secs_f64(),
            "login": words::login(probed.login),
            "tls": probed.peer.map(|peer| json!({
                "version": peer.version.number(),
                "fingerprint": peer.fingerprint.to_string(),
                "not_after": peer.not_after,
            })),
            "tracks": probed.tracks.iter().map(track_json).collect::<Vec<_>>(),
            "airlock": {
                "bytes": probed.counts.bytes,
                "packets": probed.counts.packets,
                "lost_packets": probed.counts.lost,
                "dropped": counts(probed.counts.dropped()),
            },
            "quirks": probed.quirks.iter().map(|quirk| {
                json!({ "quirk": quirk.label(), "message": quirk.to_string() })
            }).collect::<Vec<_>>(),
            "ended": probed.ended.map(|reason| {
                json!({ "reason": reason.label(), "message": reason.to_string() })
            }),
            "config": self.entry.toml(probed.login),
        })
    }

    fn url(&self) -> String {
        let scheme = if self.probed.peer.is_some() { "rtsps" } else { "rtsp" };
        format!("{scheme}://{}{}", self.entry.address, self.entry.path)
    }
}

impl Entry<'_> {
    fn toml(&self, login: LoginUsed) -> String {
        let mut text = String::from("[[camera]]\n");
        let mut pair = |key: &str, value: &str| {
            text.push_str(&format!("{key} = {}\n", quoted(value)));
        };
        pair("name", self.camera);
        pair("address", &self.address.to_string());
        for (key, value) in &self.tls {
            pair(key, value);
        }
        if let Some((user, password)) = self.account {
            pair("user", user);
            pair("password", password);
        }
        match login {
            LoginUsed::Basic => pair("basic", "allow"),
            LoginUsed::None | LoginUsed::Digest(_) => {}
        }
        text.push_str("[[camera.profile]]\n");
        for (key, value) in [("name", self.profile), ("path", self.path)] {
            text.push_str(&format!("{key} = {}\n", quoted(value)));
        }
        text
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => drop(write!(quoted, "\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn line(text: &mut String, line: &str) {
    text.push_str(&format!("# {line}\n"));
}

fn track_text(text: &mut String, track: &ProbedTrack) {
    let what = match track.kind {
        TrackKind::Video => "video",
        TrackKind::Audio => "audio",
    };
    let words = track.track.as_ref().map(|known| Words::new(&known.codec, known.clock_rate));
    let words =
        words.map_or_else(|| "no valid parameter sets received".to_owned(), |w| w.to_string());
    line(text, &format!("{what}: {words}"));
    if let Some(refused) = track.refused {
        line(text, &format!("  refused: {refused}"));
    }
    let mut measures = vec![format!("{} units", track.units)];
    if let (Some(rate), Some(bits)) = (track.rate, track.bit_rate) {
        let unit = match track.kind {
            TrackKind::Video => "fps",
            TrackKind::Audio => "frames/s",
        };
        measures.push(format!("{rate:.2} {unit}, {:.0} kbit/s", bits / 1000.0));
    }
    measures.extend(interval(track));
    line(text, &format!("  {}", measures.join(", ")));
    let dropped = track.dropped.iter().map(|(reason, count)| (reason.label(), count));
    dropped_text(text, "  stripped: ", dropped);
}

fn interval(track: &ProbedTrack) -> Option<String> {
    match (track.kind, track.interval) {
        (TrackKind::Audio, _) => None,
        (TrackKind::Video, None) => Some("fewer than two key frames".to_owned()),
        (TrackKind::Video, Some((least, most))) => {
            let pictures =
                if least == most { most.to_string() } else { format!("{least} to {most}") };
            let seconds = interval_seconds(track).map(|s| format!(" ({s:.1} s)"));
            Some(format!("key frame every {pictures} pictures{}", seconds.unwrap_or_default()))
        }
    }
}

/// The longest distance of key frames.
#[allow(clippy::cast_precision_loss, reason = "a measure for people")]
fn interval_seconds(track: &ProbedTrack) -> Option<f64> {
    let (_, most) = track.interval?;
    track.rate.map(|rate| most as f64 / rate)
}

fn dropped_text<'a>(
    text: &mut String,
    begin: &str,
    counts: impl IntoIterator<Item = (&'a str, u64)>,
) {
    let counts: Vec<_> = counts
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| format!("{reason} {count}"))
        .collect();
    if !counts.is_empty() {
        line(text, &format!("{begin}{}", counts.join(", ")));
    }
}

fn track_json(track: &ProbedTrack) -> Value {
    let words = track.track.as_ref().map(|known| Words::new(&known.codec, known.clock_rate));
    let words = words.as_ref();
    let size = words.and_then(|words| words.size);
    json!({
        "kind": match track.kind { TrackKind::Video => "video", TrackKind::Audio => "audio" },
        "codec": words.map(|words| words.codec),
        "profile": words.and_then(|words| words.profile),
        "level": words.and_then(|words| words.level.clone()),
        "width": size.map(|(width, _)| width),
        "height": size.map(|(_, height)| height),
        "sample_rate": words.and_then(|words| words.sample_rate),
        "channels": words.and_then(|words| words.channels),
        "refused": track.refused.map(|refused| refused.to_string()),
        "units": track.units,
        "rate": track.rate,
        "bit_rate": track.bit_rate,
        "key_frames": match track.kind {
            TrackKind::Video => Some(track.random_access),
            TrackKind::Audio => None,
        },
        "key_frame_interval": match track.kind {
            TrackKind::Video => track.interval.map(|(least, most)| json!({
                "least_pictures": least, "most_pictures": most, "seconds": interval_seconds(track),
            })),
            TrackKind::Audio => None,
        },
        "stripped": counts(track.dropped.iter().map(|(reason, count)| (reason.label(), count))),
    })
}

/// Those that are not zero.
fn counts<'a>(counts: impl IntoIterator<Item = (&'a str, u64)>) -> Value {
    counts
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| (reason.to_owned(), Value::from(count)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
