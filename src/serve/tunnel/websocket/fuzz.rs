//! What must hold of the frames of a client: a part of the check of tunnels.
#![allow(clippy::panic, reason = "as in tests: a panic is the verdict")]

use bytes::BytesMut;

use super::frame::{Broken, Control, Decoder, pong};

/// Frames are read the same however they are cut into pieces, and no more is kept of them than said.
pub(in crate::serve::tunnel) fn frames(bytes: &[u8], piece: usize) {
    assert_eq!(read(bytes, bytes.len().max(1)), read(bytes, piece), "in pieces of {piece}");
}

/// The payload, the control frames each with the payload before it, and the end if there was one.
type Read = (Vec<u8>, Vec<(usize, Control)>, Option<Broken>);

fn read(bytes: &[u8], piece: usize) -> Read {
    let (mut decoder, mut input) = (Decoder::default(), BytesMut::new());
    let (mut payload, mut controls) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        input.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut input, &mut payload) {
                Ok(None) => break,
                Ok(Some(control)) => {
                    if let Control::Ping(ping) = &control {
                        assert_eq!(pong(ping).get(2..), Some(ping.as_slice()), "answered in full");
                    }
                    let is_end = control == Control::Close;
                    controls.push((payload.len(), control));
                    if is_end {
                        return (payload, controls, None);
                    }
                }
                Err(broken) => {
                    assert!((1002..=1009).contains(&broken.code()));
                    return (payload, controls, Some(broken));
                }
            }
        }
        assert!(input.len() <= 13, "no more than the beginning of a head is left");
    }
    assert!(payload.len() <= bytes.len(), "a frame is longer than its payload");
    (payload, controls, None)
}
