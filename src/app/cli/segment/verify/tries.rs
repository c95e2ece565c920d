//! The tries themselves, within the canary's network.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, sendmsg, socket};
use tokio::time::Instant;

use super::Stop;
use super::interfaces::Interface;
use crate::ops::limits;
use crate::segment::canary::{Answer, Sends, Way};

/// What is known of the tries.
#[derive(Debug, Default)]
pub(super) struct Tried {
    /// When each way began, ms since the run did.
    pub(super) began_ms: Vec<u64>,
    /// Answers of the local services that did not come, by the names of the ways.
    pub(super) unanswered: Vec<&'static str>,
    /// Frames that the canary's own interface did not take.
    pub(super) unsent: Vec<String>,
}

/// A socket that sends whole frames on any interface of the network that the thread is in, and receives none.
pub(super) struct Sender(OwnedFd);

impl Sender {
    pub(super) fn new() -> Result<Self, String> {
        socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)
            .map(Self)
            .map_err(|error| format!("cannot send frames: {error}"))
    }

    pub(super) fn send(&self, frame: &[u8], on: &LinkAddr) -> Result<(), String> {
        let fd = self.0.as_raw_fd();
        sendmsg(fd, &[IoSlice::new(frame)], &[], MsgFlags::MSG_DONTWAIT, Some(on))
            .map(|_| ())
            .map_err(|error| error.to_string())
    }
}

/// Tries all ways, one after the other, from the canary's network, which the thread is in.
pub(super) fn tries(
    ways: &[Way],
    interface: &Interface,
    began: Instant,
    stop: &Stop,
) -> Result<Tried, String> {
    let sender = Sender::new()?;
    let mut tried = Tried::default();
    for way in ways {
        if stop.is_told() {
            break;
        }
        tried.began_ms.push(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
        for sends in &way.sends {
            match sends {
                Sends::Frame(frame) => {
                    if let Err(error) = sender.send(frame, &interface.link) {
                        tried.unsent.push(format!("{}: {error}", way.name));
                    }
                }
                Sends::Tcp { to, say, answer } => {
                    let got = tcp(*to, say, *answer).unwrap_or(false);
                    tried.note(way, *answer, got);
                }
                Sends::Udp { to, say, answer } => {
                    let got = udp(*to, say, *answer).unwrap_or(false);
                    tried.note(way, *answer, got);
                }
            }
        }
        std::thread::sleep(limits::CANARY_PACE);
    }
    Ok(tried)
}

impl Tried {
    fn note(&mut self, way: &Way, answer: Option<Answer>, got: bool) {
        if answer.is_some() && !got {
            self.unanswered.push(way.name);
        }
    }
}

/// Whether the answer came. An error is nothing of ours: most ways are meant to lead nowhere.
fn tcp(to: SocketAddrV4, say: &[u8], answer: Option<Answer>) -> io::Result<bool> {
    let to = SocketAddr::V4(to);
    let mut stream = TcpStream::connect_timeout(&to, limits::CANARY_CONNECT)?;
    stream.set_write_timeout(Some(limits::CANARY_CONNECT))?;
    stream.set_read_timeout(Some(limits::CANARY_ANSWER))?;
    stream.write_all(say)?;
    let Some(answer) = answer else {
        stream.shutdown(Shutdown::Write)?;
        return Ok(false);
    };
    let mut reply = [0; 1024];
    let length = stream.read(&mut reply)?;
    Ok(answer.is(reply.get(..length).unwrap_or_default(), say))
}

/// The same; asked twice, for a datagram may be lost.
fn udp(to: SocketAddrV4, say: &[u8], answer: Option<Answer>) -> io::Result<bool> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(limits::CANARY_ANSWER))?;
    let tries = if answer.is_some() { 2 } else { 1 };
    for _ in 0..tries {
        socket.send(say)?;
        let Some(answer) = answer else { continue };
        let mut reply = [0; 1024];
        if let Ok(length) = socket.recv(&mut reply)
            && answer.is(reply.get(..length).unwrap_or_default(), say)
        {
            return Ok(true);
        }
    }
    Ok(false)
}
