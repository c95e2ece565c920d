//! The sockets that see every frame of the camera ports, before the bridge does anything with it.

use std::convert::Infallible;
use std::io;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;

use futures_util::future::try_join_all;
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use super::filter::{Op, SHARES, Take, program};
use super::{Frame, Observer, classify};
use crate::ops::limits;
use crate::ops::systemd::Progress;
use crate::segment::{MacAddr, Plan};

/// Every protocol.
const ETH_P_ALL: u16 = 0x0003;

/// The bridge that camera ports belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bridge {
    /// Its index in this network namespace.
    pub index: u32,
    /// Its Ethernet address: where cameras send what is for the gateway.
    pub mac: MacAddr,
}

/// Why frames cannot be captured.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// There is no such interface.
    #[error(
        "no bridge {name} in this network namespace: run `camlock segment up`, and start this process in its namespace"
    )]
    NoBridge {
        /// The name looked for.
        name: String,
    },
    /// The kernel refused a socket.
    #[error("cannot open a packet socket: {0} (it needs CAP_NET_RAW, and a kernel with AF_PACKET)")]
    Open(#[source] io::Error),
    /// The kernel refused a filter.
    #[error("cannot filter a packet socket: {0}")]
    Filter(#[source] io::Error),
    /// Reading failed.
    #[error("cannot read a packet socket: {0}")]
    Read(#[source] io::Error),
}

/// Open sockets: opening needs `CAP_NET_RAW`, nothing later does.
#[derive(Debug)]
pub struct Capture {
    bridge: Bridge,
    taps: Vec<(Take, Socket)>,
}

impl Bridge {
    /// Looks for the bridge in the network namespace of this thread.
    pub fn find(name: &str) -> Result<Self, CaptureError> {
        let missing = || CaptureError::NoBridge { name: name.to_owned() };
        let interfaces = getifaddrs().map_err(|e| CaptureError::Open(e.into()))?;
        let mut named = interfaces.filter(|interface| interface.interface_name == name);
        let found = named.find_map(|interface| {
            let address = interface.address?;
            let link = address.as_link_addr()?;
            Some(Self { index: u32::try_from(link.ifindex()).ok()?, mac: MacAddr(link.addr()?) })
        });
        found.ok_or_else(missing)
    }
}

impl Capture {
    /// Opens the sockets, in the network namespace of this thread.
    pub fn open(bridge: Bridge, plan: &Plan) -> Result<Self, CaptureError> {
        let takes = (0..SHARES).map(Take::Share).chain([Take::Tagged]);
        let taps = takes.map(|take| open(take, bridge, plan).map(|socket| (take, socket)));
        Ok(Self { bridge, taps: taps.collect::<Result<_, _>>()? })
    }

    /// The bridge whose ports are seen.
    pub fn bridge(&self) -> Bridge {
        self.bridge
    }
}

/// Notes what every frame tries, until a socket fails; takes new plans as they come. In a flood others run as well:
/// each socket gives up its turn after [`limits::OBSERVED_BATCH`] frames. Advances its progress every [`limits::OBSERVED_BEAT`].
pub async fn observe(
    capture: Capture,
    plan: watch::Receiver<Arc<Plan>>,
    observer: Arc<Observer>,
    progress: Progress,
) -> Result<Infallible, CaptureError> {
    let bridge = capture.bridge;
    let taps = capture.taps.into_iter().map(|(take, socket)| {
        let socket = watched(socket).map_err(CaptureError::Read)?;
        Ok(Tap {
            take,
            socket,
            bridge,
            plan: plan.clone(),
            observer: Arc::clone(&observer),
            missed: 0,
        })
    });
    let taps: Vec<_> = taps.collect::<Result<_, _>>()?;
    tokio::select! {
        ended = try_join_all(taps.into_iter().map(Tap::run)) => match ended {
            Ok(_) => Err(CaptureError::Read(io::ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(error),
        },
        never = follow(plan, &observer, &progress) => match never {},
    }
}

/// One socket, read.
struct Tap {
    take: Take,
    socket: AsyncFd<Socket>,
    bridge: Bridge,
    plan: watch::Receiver<Arc<Plan>>,
    observer: Arc<Observer>,
    /// The kernel's count of frames that found its queue full.
    missed: u32,
}

impl Tap {
    async fn run(mut self) -> Result<Infallible, CaptureError> {
        let mut plans = self.plan.clone();
        let mut buffer = vec![0; limits::OBSERVED_FRAME_BYTES];
        loop {
            tokio::select! {
                plan = next(&mut plans) => {
                    attach(self.socket.get_ref(), &program(self.take, self.bridge.index, &plan))?;
                }
                batch = self.batch(&mut buffer) => batch?,
            }
            tokio::task::yield_now().await;
        }
    }

    /// Waits for frames, and notes some.
    async fn batch(&mut self, buffer: &mut [u8]) -> Result<(), CaptureError> {
        let mut ready = self.socket.readable().await.map_err(CaptureError::Read)?;
        let plan = Arc::clone(&self.plan.borrow());
        for _ in 0..limits::OBSERVED_BATCH {
            let received = match ready.try_io(|socket| receive(socket.get_ref(), buffer)) {
                Ok(received) => received.map_err(CaptureError::Read)?,
                Err(_would_block) => break,
            };
            if let Some(missed) = received.missed {
                self.observer.note_missed(missed.wrapping_sub(self.missed));
                self.missed = missed;
            }
            let frame = Frame {
                bytes: buffer.get(..received.length).unwrap_or(buffer),
                wire_len: u32::try_from(received.length).unwrap_or(u32::MAX),
                tagged: self.take == Take::Tagged,
            };
            if let Some(sighting) = classify(&frame, &plan, self.bridge.mac) {
                self.observer.note(&sighting);
            }
        }
        Ok(())
    }
}

/// Hands new plans to the table, and beats, for whoever reads the sockets: it is one task.
async fn follow(
    mut plans: watch::Receiver<Arc<Plan>>,
    observer: &Observer,
    progress: &Progress,
) -> Infallible {
    let mut ticks = tokio::time::interval(limits::OBSERVED_BEAT);
    loop {
        tokio::select! {
            plan = next(&mut plans) => observer.set_plan(plan),
            _ = ticks.tick() => progress.advance(),
        }
    }
}

/// The next plan; never, if there will be none.
async fn next(plans: &mut watch::Receiver<Arc<Plan>>) -> Arc<Plan> {
    if plans.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    Arc::clone(&plans.borrow_and_update())
}

#[allow(
    deprecated,
    reason = "sound for a socket, which owns its descriptor; the successor is unsafe to call"
)]
fn watched(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    AsyncFd::new(socket)
}

fn open(take: Take, bridge: Bridge, plan: &Plan) -> Result<Socket, CaptureError> {
    let kind = Type::RAW.nonblocking().cloexec();
    let socket =
        Socket::new(Domain::PACKET, kind, Some(Protocol::from(i32::from(ETH_P_ALL.to_be()))));
    let socket = socket.map_err(CaptureError::Open)?;
    attach(&socket, &program(take, bridge.index, plan))?;
    // What came before the filter was there is not for this socket: at most a queue of the usual size.
    for _ in 0..limits::OBSERVED_EARLY {
        match receive(&socket, &mut []) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(CaptureError::Open(error)),
        }
    }
    setsockopt(&socket, sockopt::RxqOvfl, &1).map_err(|e| CaptureError::Open(e.into()))?;
    socket.set_recv_buffer_size(limits::OBSERVED_QUEUE_BYTES).map_err(CaptureError::Open)?;
    Ok(socket)
}

fn attach(socket: &Socket, ops: &[Op]) -> Result<(), CaptureError> {
    let filter = ops.iter().map(|op| SockFilter::new(op.code, op.jt, op.jf, op.k));
    socket.attach_filter(&filter.collect::<Vec<_>>()).map_err(CaptureError::Filter)
}

struct Received {
    /// Length on the wire.
    length: usize,
    /// Frames that found the queue full, since the socket was opened; `None`: none did.
    missed: Option<u32>,
}

fn receive(socket: &Socket, buffer: &mut [u8]) -> io::Result<Received> {
    let mut control = [0; 64];
    let mut into = [io::IoSliceMut::new(buffer)];
    loop {
        let flags = MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT;
        match recvmsg::<()>(socket.as_raw_fd(), &mut into, Some(&mut control), flags) {
            Ok(message) => {
                let missed = message.cmsgs()?.find_map(|control| {
                    if let ControlMessageOwned::RxqOvfl(missed) = control {
                        Some(missed)
                    } else {
                        None
                    }
                });
                return Ok(Received { length: message.bytes, missed });
            }
            // A port went down: nothing more comes from it, until it is up again.
            Err(Errno::EINTR | Errno::ENETDOWN) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
