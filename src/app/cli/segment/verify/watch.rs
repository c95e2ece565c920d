//! A watcher: sees all frames of all interfaces of a network, and keeps those that carry the canary's marks.

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimeout, RxqOvfl};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType,
    recvmsg, setsockopt, socket,
};
use nix::sys::time::TimeVal;
use tokio::time::Instant;

use super::interfaces::Interface;
use crate::ops::limits;
use crate::segment::MacAddr;
use crate::segment::canary::{Found, Marks};

/// Of `/usr/include/linux/if_packet.h`: a frame that the machine sends itself.
const OUTGOING: u8 = 4;
/// What waits when it is told to stop is looked at within this time: frames come for 100 ms at most.
const DRAIN: Duration = Duration::from_secs(1);

/// A thread that looks at frames until it is told to stop.
#[derive(Debug)]
pub(super) struct Watcher {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Eye>,
}

/// What it saw.
#[derive(Debug)]
pub(super) struct Watched {
    /// Frames with a mark, in their order.
    pub(super) found: Vec<Found>,
    /// Why it may have missed some.
    pub(super) fault: Option<String>,
}

/// Opens a watcher's socket in the network that the thread is in. From now on nothing is missed.
pub(super) fn open() -> Result<OwnedFd, String> {
    let watch = || -> nix::Result<OwnedFd> {
        let all = Some(SockProtocol::EthAll);
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Packet, SockType::Raw, flags, all)?;
        setsockopt(&socket, RcvBufForce, &limits::CANARY_WAITING_BYTES)?;
        setsockopt(&socket, RxqOvfl, &1)?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::new(0, 100_000))?;
        Ok(socket)
    };
    watch().map_err(|error| format!("cannot watch for frames: {error}"))
}

impl Watcher {
    /// Looks for marks from now on; `began` is when the run did.
    pub(super) fn start(socket: OwnedFd, marks: Marks, began: Instant) -> Result<Self, String> {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let mut eye = Eye {
            marks,
            began,
            control: cmsg_space!(u32),
            found: Vec::new(),
            fault: None,
            missed: 0,
        };
        let thread = std::thread::Builder::new()
            .spawn(move || {
                eye.watch(&socket, &told);
                eye
            })
            .map_err(|error| format!("no thread: {error}"))?;
        Ok(Self { stop, thread })
    }

    /// What it saw, all that came before this call included. `interfaces` are those of its network.
    pub(super) fn stop(self, interfaces: &[Interface]) -> Watched {
        self.stop.store(true, Ordering::Relaxed);
        let Ok(eye) = self.thread.join() else {
            return Watched { found: Vec::new(), fault: Some("the watcher died".to_owned()) };
        };
        let name = |number: usize| {
            let known = interfaces.iter().find(|one| one.index() == number);
            known.map_or_else(|| format!("interface {number}"), |one| one.name.clone())
        };
        let found = eye.found.into_iter();
        let found = found.map(|(number, found)| Found { interface: name(number), ..found });
        Watched { found: found.collect(), fault: eye.fault }
    }
}

#[derive(Debug)]
struct Eye {
    marks: Marks,
    began: Instant,
    /// Room for what the kernel says about a frame.
    control: Vec<u8>,
    /// With the numbers of their interfaces, whose names are told in the end.
    found: Vec<(usize, Found)>,
    fault: Option<String>,
    /// Frames that the kernel had no room for, as it last said.
    missed: u32,
}

impl Eye {
    /// Until it is told, and then until nothing waits.
    fn watch(&mut self, socket: &OwnedFd, told: &AtomicBool) {
        let mut frame = vec![0; limits::CANARY_FRAME_BYTES];
        let mut until = None;
        loop {
            let last = told.load(Ordering::Relaxed);
            match self.next(socket, &mut frame) {
                Ok(()) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) if last => break,
                Err(Errno::EAGAIN) => {}
                // An interface that is down tells it once to a socket that hears all.
                Err(Errno::ENETDOWN) => {}
                Err(error) => {
                    self.fault = Some(format!("cannot read frames: {error}"));
                    return;
                }
            }
            // On a busy machine frames never end.
            if last && *until.get_or_insert_with(|| Instant::now() + DRAIN) < Instant::now() {
                break;
            }
        }
        if self.missed > 0 {
            let fault = format!("{} frames came faster than they could be looked at", self.missed);
            self.fault = Some(fault);
        }
    }

    fn next(&mut self, socket: &OwnedFd, frame: &mut [u8]) -> nix::Result<()> {
        let mut room = [IoSliceMut::new(frame)];
        let flags = MsgFlags::empty();
        let message =
            recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut room, Some(&mut self.control), flags)?;
        let (length, from) = (message.bytes, message.address);
        for item in message.cmsgs()? {
            if let ControlMessageOwned::RxqOvfl(missed) = item {
                self.missed = missed;
            }
        }
        let Some(from) = from else { return Ok(()) };
        self.look(frame.get(..length).unwrap_or_default(), &from);
        Ok(())
    }

    fn look(&mut self, frame: &[u8], from: &LinkAddr) {
        if self.found.len() >= limits::CANARY_FOUND {
            return;
        }
        let Some(mark) = self.marks.find(frame) else { return };
        let source = frame.get(6..12).and_then(|mac| mac.first_chunk()).map(|mac| MacAddr(*mac));
        let found = Found {
            at_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            interface: String::new(),
            outgoing: from.pkttype() == OUTGOING,
            mark,
            source,
        };
        self.found.push((from.ifindex(), found));
    }
}
