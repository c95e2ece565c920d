//! By what a frame of the canary is known again, wherever it comes out.

use std::net::Ipv4Addr;

use memchr::memmem::Finder;

use super::Scene;
use super::frame::{ARP, IPV4, ethernet};
use crate::ops::hex;
use crate::segment::MacAddr;

/// IEEE Std 802, local experimental EtherType 1: no host takes it.
const BEACON: u16 = 0x88b5;

/// What to look for in frames.
#[derive(Debug)]
pub struct Marks {
    whole: [Vec<u8>; 2],
    marker: [Finder<'static>; 2],
    beacon: Finder<'static>,
    macs: [Finder<'static>; 2],
    address: Ipv4Addr,
}

/// By what a frame was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The canary's marker; with it, if it is whole, the number of the way.
    Marker(Option<u16>),
    /// An Ethernet address of the canary.
    Mac,
    /// The canary's IP address, as source or destination.
    Address,
    /// Our own beacon; with it the number it was sent with.
    Beacon(Option<u16>),
}

/// A frame with a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// When, ms since the run began.
    pub at_ms: u64,
    /// On which interface.
    pub interface: String,
    /// Whether it left there (or else it came in).
    pub outgoing: bool,
    /// By what.
    pub mark: Mark,
    /// Its source.
    pub source: Option<MacAddr>,
}

impl Marks {
    /// The marks of a scene.
    pub fn new(scene: &Scene) -> Self {
        let owned = |bytes: &[u8]| Finder::new(bytes).into_owned();
        // Half of it: the time that an NTP question carries has no place for more.
        let [half, _] = halves(&scene.marker);
        Self {
            whole: [scene.marker.to_vec(), hex::encode(&scene.marker).into_bytes()],
            marker: [owned(&half), owned(hex::encode(&half).as_bytes())],
            beacon: owned(&scene.beacon),
            macs: [scene.mac, scene.other_mac].map(|mac| owned(&mac.0)),
            address: scene.address,
        }
    }

    /// The mark of a frame, the most telling one. The frame may be cut.
    pub fn find(&self, frame: &[u8]) -> Option<Mark> {
        if let Some(at) = self.beacon.find(frame) {
            return Some(Mark::Beacon(number(frame, at + 16)));
        }
        let ([raw, text], [whole, whole_text]) = (&self.marker, &self.whole);
        let is_whole = |at: usize, whole: &[u8]| frame.get(at..at + whole.len()) == Some(whole);
        if let Some(at) = raw.find(frame) {
            let number = || number(frame, at + whole.len());
            return Some(Mark::Marker(is_whole(at, whole).then(number).flatten()));
        }
        if let Some(at) = text.find(frame) {
            let number = || text_number(frame, at + whole_text.len());
            return Some(Mark::Marker(is_whole(at, whole_text).then(number).flatten()));
        }
        if self.macs.iter().any(|mac| mac.find(frame).is_some()) {
            return Some(Mark::Mac);
        }
        self.is_addressed(frame).then_some(Mark::Address)
    }

    /// Whether it is IPv4 from or to the canary, or ARP of the canary. ARP *for* the canary is the gateway's own.
    fn is_addressed(&self, frame: &[u8]) -> bool {
        let address = self.address.octets();
        let at = |place: usize| frame.get(place..place + 4) == Some(&address[..]);
        let mut kind = 12;
        while matches!(frame.get(kind..kind + 2), Some([0x81, 0] | [0x88, 0xa8])) {
            kind += 4;
        }
        match frame.get(kind..kind + 2).and_then(|kind| kind.first_chunk()) {
            Some(value) if *value == IPV4.to_be_bytes() => at(kind + 14) || at(kind + 18),
            Some(value) if *value == ARP.to_be_bytes() => at(kind + 16),
            Some(_) | None => false,
        }
    }
}

/// The frame by which a watcher proves that it sees: of no known protocol, from an interface to itself.
pub fn beacon(mac: MacAddr, beacon: &[u8; 16], number: u16) -> Vec<u8> {
    ethernet(mac, mac, BEACON, &[&beacon[..], &number.to_be_bytes()].concat())
}

fn halves(marker: &[u8; 16]) -> [[u8; 8]; 2] {
    let (head, tail) = marker.split_at(8);
    [head, tail].map(|half| half.first_chunk().copied().unwrap_or([0; 8]))
}

fn number(frame: &[u8], at: usize) -> Option<u16> {
    frame.get(at..at + 2)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

fn text_number(frame: &[u8], at: usize) -> Option<u16> {
    let digits = std::str::from_utf8(frame.get(at..at + 4)?).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Ipv4, UDP, arp, udp};
    use super::super::scene::tests::scene;
    use super::*;

    const STRANGER: MacAddr = MacAddr([2, 9, 9, 9, 9, 9]);

    fn from_stranger(payload: &[u8]) -> Vec<u8> {
        let ip = Ipv4::new([192, 0, 2, 1].into(), [203, 0, 113, 9].into(), UDP);
        ethernet(STRANGER, STRANGER, IPV4, &udp(ip, 1, 2, payload))
    }

    #[test]
    fn it_is_known_after_its_heads_were_changed() {
        let scene = scene();
        let marks = Marks::new(&scene);
        let mark = [&scene.marker[..], &7_u16.to_be_bytes()].concat();
        assert_eq!(marks.find(&from_stranger(&mark)), Some(Mark::Marker(Some(7))));
        let text = format!("GET /{} HTTP/1.1", hex::encode(&mark));
        assert_eq!(marks.find(&from_stranger(text.as_bytes())), Some(Mark::Marker(Some(7))));
        assert_eq!(marks.find(&from_stranger(&scene.marker[..8])), Some(Mark::Marker(None)));
        assert_eq!(marks.find(&from_stranger(&scene.marker[..7])), None);
        assert_eq!(marks.find(&[]), None);
    }

    #[test]
    fn it_is_known_by_its_addresses_in_either_direction() {
        let scene = scene();
        let marks = Marks::new(&scene);
        for (from, to) in [(scene.mac, STRANGER), (STRANGER, scene.other_mac)] {
            assert_eq!(marks.find(&ethernet(to, from, 0x9000, &[])), Some(Mark::Mac));
        }
        let other = [192, 0, 2, 1].into();
        for (from, to) in [(scene.address, other), (other, scene.address)] {
            let packet = Ipv4::new(from, to, UDP).packet(&[]);
            let tagged = [&[0, 5, 0x08, 0][..], &packet].concat();
            assert_eq!(
                marks.find(&ethernet(STRANGER, STRANGER, IPV4, &packet)),
                Some(Mark::Address)
            );
            assert_eq!(
                marks.find(&ethernet(STRANGER, STRANGER, 0x8100, &tagged)),
                Some(Mark::Address)
            );
        }
        let asks = arp(STRANGER, scene.address, other, &[]);
        assert_eq!(marks.find(&ethernet(STRANGER, STRANGER, ARP, &asks)), Some(Mark::Address));
        let asked = arp(STRANGER, other, scene.address, &[]);
        assert_eq!(marks.find(&ethernet(STRANGER, STRANGER, ARP, &asked)), None);
    }

    #[test]
    fn a_beacon_is_told_from_an_escape() {
        let scene = scene();
        let frame = beacon(STRANGER, &scene.beacon, 3);
        assert_eq!(Marks::new(&scene).find(&frame), Some(Mark::Beacon(Some(3))));
        let mut other = scene;
        other.beacon[15] ^= 1;
        assert_eq!(Marks::new(&other).find(&frame), None);
    }
}
