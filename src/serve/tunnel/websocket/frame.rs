//! Frames (RFC 6455 5), both directions, without I/O.

use bytes::{Buf, BytesMut};

use crate::ops::limits;

/// Payload of a control frame (RFC 6455 5.5).
const CONTROL_BYTES: usize = 125;

/// Decoder of a client's frames. Payload goes on as it comes, so a frame need not be whole; what it keeps is
/// a control frame at most.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The frame whose payload is being read.
    frame: Option<Frame>,
    /// Bytes of the message so far, if its last frame has not begun.
    message: Option<usize>,
    control: Vec<u8>,
}

#[derive(Debug)]
struct Frame {
    kind: Kind,
    mask: [u8; 4],
    left: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    Ping,
    Pong,
    Close,
}

/// What comes besides payload. The shell holds all of these to a rate.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// To be answered with the same payload.
    Ping(Vec<u8>),
    /// Unasked.
    Pong,
    /// The client closes.
    Close,
    /// A data frame without payload.
    Empty,
}

/// The client broke RFC 6455 or a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    #[error("WebSocket frame without a mask")]
    Unmasked,
    #[error("WebSocket frame of an unknown kind, or of an extension")]
    Unknown,
    #[error("WebSocket message of text")]
    Text,
    #[error("WebSocket fragments out of order")]
    Order,
    #[error("WebSocket control frame in fragments or over {CONTROL_BYTES} bytes")]
    Control,
    #[error("WebSocket frame whose length is not minimally encoded")]
    Length,
    #[error("WebSocket message over {} bytes", limits::WEBSOCKET_MESSAGE_BYTES)]
    TooLong,
    #[error("too many WebSocket control frames")]
    TooMany,
}

impl Broken {
    /// The close code that says so (RFC 6455 7.4.1).
    pub(super) fn code(self) -> u16 {
        match self {
            Self::Unmasked | Self::Unknown | Self::Order | Self::Control | Self::Length => 1002,
            Self::Text => 1003,
            Self::TooMany => 1008,
            Self::TooLong => 1009,
        }
    }
}

impl Decoder {
    /// Takes from `input` and appends payload to `payload`, up to the next control frame or the end of
    /// what can be read. What stays in `input` is the beginning of a frame's head: 13 bytes at most.
    pub(super) fn decode(
        &mut self,
        input: &mut BytesMut,
        payload: &mut Vec<u8>,
    ) -> Result<Option<Control>, Broken> {
        loop {
            let frame = match &mut self.frame {
                Some(frame) => frame,
                None => match self.head(input)? {
                    Some(frame) => self.frame.insert(frame),
                    None => return Ok(None),
                },
            };
            let was_empty = frame.left == 0;
            frame.unmask(input, if frame.kind == Kind::Data { payload } else { &mut self.control });
            if frame.left > 0 {
                return Ok(None);
            }
            let kind = frame.kind;
            self.frame = None;
            match kind {
                Kind::Data if was_empty => return Ok(Some(Control::Empty)),
                Kind::Data => {}
                Kind::Ping => return Ok(Some(Control::Ping(std::mem::take(&mut self.control)))),
                Kind::Pong => {
                    self.control.clear();
                    return Ok(Some(Control::Pong));
                }
                Kind::Close => return Ok(Some(Control::Close)),
            }
        }
    }

    /// Reads a frame's head, once it is whole.
    fn head(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, Broken> {
        let mut rest: &[u8] = input;
        if rest.len() < 2 {
            return Ok(None);
        }
        let (first, second) = (rest.get_u8(), rest.get_u8());
        if second & 0x80 == 0 {
            return Err(Broken::Unmasked);
        }
        let length = match second & 0x7f {
            126 if rest.len() < 2 => return Ok(None),
            127 if rest.len() < 8 => return Ok(None),
            126 => shortest(u64::from(rest.get_u16()), 126)?,
            127 => shortest(rest.get_u64(), 1 << 16)?,
            length => usize::from(length),
        };
        let kind = self.kind(first, length)?;
        if rest.len() < 4 {
            return Ok(None);
        }
        let mask = rest.get_u32().to_be_bytes();
        if kind == Kind::Data {
            let message = self.message.unwrap_or(0) + length;
            self.message = (first & 0x80 == 0).then_some(message);
        }
        let head = input.len() - rest.len();
        input.advance(head);
        Ok(Some(Frame { kind, mask, left: length }))
    }

    /// Judges a head by its first byte and its length.
    fn kind(&self, first: u8, length: usize) -> Result<Kind, Broken> {
        let is_last = first & 0x80 != 0;
        let kind = match first & 0x7f {
            0 if self.message.is_some() => Kind::Data,
            2 if self.message.is_none() => Kind::Data,
            0 | 2 => return Err(Broken::Order),
            1 => return Err(Broken::Text),
            8 => Kind::Close,
            9 => Kind::Ping,
            10 => Kind::Pong,
            // Also the bits of extensions: none was agreed on.
            _ => return Err(Broken::Unknown),
        };
        let room = limits::WEBSOCKET_MESSAGE_BYTES - self.message.unwrap_or(0);
        match kind {
            Kind::Data if length > room => Err(Broken::TooLong),
            Kind::Data => Ok(kind),
            Kind::Ping | Kind::Pong | Kind::Close if is_last && length <= CONTROL_BYTES => Ok(kind),
            Kind::Ping | Kind::Pong | Kind::Close => Err(Broken::Control),
        }
    }
}

impl Frame {
    /// Moves as much of the payload as there is.
    fn unmask(&mut self, input: &mut BytesMut, to: &mut Vec<u8>) {
        let some = input.split_to(self.left.min(input.len()));
        to.extend(some.iter().zip(self.mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        let turned = some.len() % self.mask.len();
        self.mask.rotate_left(turned);
        self.left -= some.len();
    }
}

/// A length that had to be written in so many bytes, as a size in memory.
fn shortest(length: u64, least: u64) -> Result<usize, Broken> {
    if length < least {
        return Err(Broken::Length);
    }
    usize::try_from(length).map_err(|_| Broken::TooLong)
}

/// The head of a binary message of ours in one frame, before a payload that is written from where it is.
pub(super) fn head(length: usize) -> Vec<u8> {
    let mut head = vec![0x82];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => head.push(short),
        (_, Ok(middle)) => {
            head.push(126);
            head.extend(middle.to_be_bytes());
        }
        (_, Err(_)) => {
            head.push(127);
            head.extend((length as u64).to_be_bytes());
        }
    }
    head
}

/// The answer to a ping.
pub(super) fn pong(payload: &[u8]) -> Vec<u8> {
    control(0x8a, payload)
}

/// A close frame.
pub(super) fn close(code: u16) -> Vec<u8> {
    control(0x88, &code.to_be_bytes())
}

fn control(first: u8, payload: &[u8]) -> Vec<u8> {
    let payload = payload.get(..payload.len().min(CONTROL_BYTES)).unwrap_or_default();
    let length = u8::try_from(payload.len()).unwrap_or_default();
    [&[first, length], payload].concat()
}
