//! One RTSP session (RFC 2326 3.4, A.2): bound to its connection, its principal and one stream.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::Offered;
use super::target::StreamUrl;
use crate::media::TrackId;
use crate::trust::auth::Principal;

/// 128 random bits; the session id as clients see it is their hex form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionId(u128);

impl SessionId {
    /// Of 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// Reads the hex form.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_id = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if is_id { u128::from_str_radix(text, 16).ok().map(Self) } else { None }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    /// The first bits only: enough to tell sessions of a log apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}…", self.0 >> 96)
    }
}

/// `Init` is a session that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Tracks are set up; nothing is sent.
    Ready,
    /// Media is sent.
    Playing,
}

/// Where one track of a session goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channels {
    /// The track.
    pub track: TrackId,
    /// Interleaved channel of its RTP packets.
    pub rtp: u8,
    /// Interleaved channel of its RTCP packets.
    pub rtcp: u8,
}

impl Channels {
    pub(super) fn uses(&self, channel: u8) -> bool {
        self.rtp == channel || self.rtcp == channel
    }
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) principal: Arc<Principal>,
    /// The stream's URL, as the first SETUP wrote it.
    pub(super) url: StreamUrl,
    /// The tracks that the permit covers.
    pub(super) offered: Arc<[Offered]>,
    /// Those set up, in order of SETUP.
    pub(super) tracks: Vec<Channels>,
    pub(super) state: State,
    /// When the client last said anything.
    pub(super) seen: Instant,
}

/// The channels a client asked for cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChannelTaken;

/// Picks channels for a track: those that the client wants, else the usual pair (2 x track id) that needs
/// no copy, else the lowest free pair.
pub(super) fn channels(
    track: TrackId,
    wanted: Option<(u8, u8)>,
    is_taken: impl Fn(u8) -> bool,
) -> Result<Channels, ChannelTaken> {
    let is_free = |(rtp, rtcp): (u8, u8)| rtp != rtcp && !is_taken(rtp) && !is_taken(rtcp);
    let pair = |rtp: u8| rtp.checked_add(1).map(|rtcp| (rtp, rtcp));
    let found = match wanted {
        Some(pair) => Some(pair).filter(|pair| is_free(*pair)),
        None => track
            .0
            .checked_mul(2)
            .into_iter()
            .chain((0..=254).step_by(2))
            .filter_map(pair)
            .find(|pair| is_free(*pair)),
    };
    let (rtp, rtcp) = found.ok_or(ChannelTaken)?;
    Ok(Channels { track, rtp, rtcp })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_are_exactly_32_hex_digits() {
        let id = SessionId::from_random([0xab; 16]);
        assert_eq!(SessionId::parse(&id.to_string()), Some(id));
        assert_eq!(id.to_string().len(), 32);
        assert!(format!("{id:?}").len() < 12, "a log must not hold the id");
        for bad in ["", "ab", "+bababababababababababababababab", &"a".repeat(33), &"g".repeat(32)]
        {
            assert_eq!(SessionId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn channels_are_wanted_usual_or_free() {
        let free = |_: u8| false;
        let pick = |track, wanted, taken: &dyn Fn(u8) -> bool| {
            channels(TrackId(track), wanted, taken).map(|c| (c.rtp, c.rtcp))
        };
        assert_eq!(pick(1, None, &free), Ok((2, 3)));
        assert_eq!(pick(1, Some((9, 4)), &free), Ok((9, 4)));
        assert_eq!(pick(1, Some((4, 4)), &free), Err(ChannelTaken));
        assert_eq!(pick(1, Some((4, 5)), &|c| c == 5), Err(ChannelTaken));
        assert_eq!(pick(1, None, &|c| c == 3), Ok((0, 1)));
        assert_eq!(pick(200, None, &free), Ok((0, 1)));
        assert_eq!(pick(0, None, &|c| c < 254), Ok((254, 255)));
        assert_eq!(pick(0, None, &|c| c < 255), Err(ChannelTaken));
    }
}
