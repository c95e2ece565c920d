//! The service's side of the door: it looks a camera up in the plan, connects, and hands the descriptor out.
//!
//! What does *not* belong here: who may open the door (the socket's group says so), and any address that is not in
//! the plan.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::SocketAddrV4;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncReadExt as _, Interest};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::ops::limits;
use crate::ops::systemd::Progress;
use crate::segment::Plan;
use crate::segment::shared::wire::{ASK_BYTES, Answer, Ask, Refusal};
use crate::trust::audit::{self, Event};

/// Answers asks for cameras of the newest plan until the future is dropped. At most [`limits::SEGMENT_ASKS`] at
/// once; others wait in the kernel's queue. Advances its progress at least once a second.
pub async fn serve(listener: UnixListener, plan: watch::Receiver<Arc<Plan>>, progress: Progress) {
    let places = Arc::new(Semaphore::new(limits::SEGMENT_ASKS));
    let mut asks = JoinSet::new();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        tokio::select! {
            _ = second.tick() => progress.advance(),
            (accepted, place) = next => match (accepted, place) {
                (Ok((stream, _)), Ok(place)) => {
                    let plan = Arc::clone(&plan.borrow());
                    asks.spawn(async move {
                        // Who does not take the answer in time has gone.
                        drop(answer(stream, &plan).await);
                        drop(place);
                    });
                }
                // Out of descriptors: who holds them gives them back; do not spin.
                (Err(_), _) | (_, Err(_)) => tokio::time::sleep(limits::ACCEPT_PAUSE_MIN).await,
            },
        }
        while asks.try_join_next().is_some() {}
    }
}

async fn answer(mut stream: UnixStream, plan: &Plan) -> io::Result<()> {
    let ask = timeout(limits::SEGMENT_ASK, read(&mut stream)).await;
    let connected = match ask {
        Ok(Ok(ask)) => connect(plan, &ask).await,
        Ok(Err(_)) => refuse("", 0, Refusal::BadAsk),
        // Nobody is there to be told.
        Err(_) => return Err(io::ErrorKind::TimedOut.into()),
    };
    let (answer, camera) = match &connected {
        Ok(camera) => (Answer::Connected, Some(camera.as_fd())),
        Err(refusal) => (Answer::Refused(*refusal), None),
    };
    timeout(limits::SEGMENT_ASK, write(&stream, answer, camera)).await?
}

async fn read(stream: &mut UnixStream) -> io::Result<Ask> {
    // One byte more than the longest ask: what belongs to none shows.
    let mut buffer = [0; ASK_BYTES + 1];
    let mut filled = 0;
    loop {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        let read = stream.read(room).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        let came = buffer.get(..filled).unwrap_or_default();
        match Ask::decode(came) {
            Ok(Some(ask)) => return Ok(ask),
            Ok(None) => {}
            Err(bad) => return Err(io::Error::new(io::ErrorKind::InvalidData, bad)),
        }
    }
}

async fn connect(plan: &Plan, ask: &Ask) -> Result<TcpStream, Refusal> {
    let (name, port) = (ask.camera.as_str(), ask.port);
    let Some(camera) = plan.camera(name) else {
        return refuse(name, port, Refusal::UnknownCamera);
    };
    let Some(address) = camera.at(port) else {
        return refuse(name, port, Refusal::PortNotListed);
    };
    dial(address).await.map_err(|error| refusal(&error))
}

/// The security log hears of an ask that no sound gateway makes.
fn refuse(camera: &str, port: u16, refusal: Refusal) -> Result<TcpStream, Refusal> {
    audit::record(Event::DialRefused { camera, port, reason: refusal.name() });
    Err(refusal)
}

#[allow(clippy::disallowed_methods, reason = "dials an address of the root-owned plan only")]
async fn dial(address: SocketAddrV4) -> io::Result<TcpStream> {
    let stream = timeout(limits::CAMERA_CONNECT, TcpStream::connect(address)).await??;
    // A port of the ephemeral range can be connected to itself: that is no camera.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

fn refusal(error: &io::Error) -> Refusal {
    use rustix::io::Errno;
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => Refusal::Busy,
        Some(Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::NETDOWN | Errno::PERM) => {
            Refusal::NoRoute
        }
        Some(Errno::CONNREFUSED | Errno::CONNRESET) => Refusal::CameraRefused,
        Some(Errno::TIMEDOUT) => Refusal::CameraSilent,
        Some(_) => Refusal::Failed,
        None if error.kind() == io::ErrorKind::TimedOut => Refusal::CameraSilent,
        None if error.kind() == io::ErrorKind::ConnectionRefused => Refusal::CameraRefused,
        None => Refusal::Failed,
    }
}

async fn write(
    stream: &UnixStream,
    answer: Answer,
    camera: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let code = [answer.encode()];
    let sent = stream.async_io(Interest::WRITABLE, || send(stream, &code, camera.as_slice())).await;
    sent.map(drop)
}

/// Sends bytes with descriptors beside them.
pub(crate) fn send(
    socket: impl AsFd,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::path::PathBuf;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;
    use crate::ingest::segment::{CameraAddr, Mode, NoDoor, NotDialled, Segment, Settings};
    use crate::ops::systemd::Watched;
    use crate::segment::shared::plan::tests::plan;

    /// A service whose plan has one camera, on loopback.
    struct Service {
        dir: PathBuf,
        plan: watch::Sender<Arc<Plan>>,
        _task: JoinSet<()>,
    }

    impl Service {
        fn start(name: &str, camera: u16) -> Self {
            let dir =
                std::env::temp_dir().join(format!("camlock-door-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            let listener = UnixListener::bind(dir.join("door.sock")).unwrap();
            let (plan, plans) = watch::channel(Arc::new(on_loopback(camera)));
            let mut task = JoinSet::new();
            task.spawn(serve(listener, plans, Watched::default().part("door")));
            Self { dir, plan, _task: task }
        }

        async fn dial(&self, name: &str, port: u16) -> Result<TcpStream, NotDialled> {
            let (segment, camera) = self.segment(name, port);
            segment.dial(&camera).await
        }

        fn segment(&self, name: &str, port: u16) -> (Segment, CameraAddr) {
            let mode = Mode::Remote { run_dir: self.dir.clone() };
            let cameras = [(name.to_owned(), (Ipv4Addr::LOCALHOST, port).into())].into();
            let segment = Segment::new(Settings { mode, cameras, ..Settings::default() }).unwrap();
            let camera = segment.address(name).unwrap();
            (segment, camera)
        }
    }

    impl Drop for Service {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.dir).unwrap();
        }
    }

    fn on_loopback(port: u16) -> Plan {
        let mut plan = plan();
        plan.cameras[0].address = Ipv4Addr::LOCALHOST;
        plan.cameras[0].ports = [port].into();
        plan
    }

    fn refused(refusal: Refusal) -> NotDialled {
        NotDialled::Segment(NoDoor::Refused(refusal))
    }

    #[tokio::test]
    async fn a_listed_camera_is_connected_to_and_nothing_else() {
        let camera = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = camera.local_addr().unwrap().port();
        let other_port = other.local_addr().unwrap().port();
        let service = Service::start("listed", port);
        let mut stream = service.dial("door", port).await.unwrap();
        assert!(stream.nodelay().unwrap());
        let (mut accepted, _) = camera.accept().await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut heard = [0; 5];
        accepted.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
        drop(stream);
        assert_eq!(accepted.read(&mut heard).await.unwrap(), 0, "the service kept a descriptor");
        let unknown = service.dial("yard", port).await.unwrap_err();
        assert_eq!(unknown, refused(Refusal::UnknownCamera));
        let unlisted = service.dial("door", other_port).await.unwrap_err();
        assert_eq!(unlisted, refused(Refusal::PortNotListed));
        service.plan.send_replace(Arc::new(on_loopback(other_port)));
        service.dial("door", other_port).await.unwrap();
        let gone = service.dial("door", port).await.unwrap_err();
        assert_eq!(gone, refused(Refusal::PortNotListed));
        drop(other);
        let refuses = service.dial("door", other_port).await.unwrap_err();
        assert_eq!(refuses, refused(Refusal::CameraRefused));
    }

    #[tokio::test]
    async fn what_is_no_ask_is_refused() {
        let service = Service::start("no-ask", 9);
        for bad in [&b"\x02"[..], b"\x01\x00\x09\x01/", b"\x01\x00\x09\x04doorX", &[0xff; 4096]] {
            let mut stream = UnixStream::connect(service.dir.join("door.sock")).await.unwrap();
            stream.write_all(bad).await.unwrap();
            let mut code = [0; 1];
            stream.read_exact(&mut code).await.unwrap();
            assert_eq!(code[0], Answer::Refused(Refusal::BadAsk).encode(), "{bad:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_nothing_loses_his_place_and_one_over_waits() {
        let service = Service::start("places", 9);
        let mut silent = Vec::new();
        for _ in 0..limits::SEGMENT_ASKS {
            silent.push(UnixStream::connect(service.dir.join("door.sock")).await.unwrap());
        }
        tokio::time::sleep(limits::SEGMENT_ASK / 2).await;
        let begun = tokio::time::Instant::now();
        assert_eq!(service.dial("yard", 9).await.unwrap_err(), refused(Refusal::UnknownCamera));
        assert_eq!(begun.elapsed(), limits::SEGMENT_ASK / 2, "before a place was free");
        for mut one in silent {
            assert_eq!(one.read(&mut [0; 1]).await.unwrap(), 0);
        }
    }

    #[test]
    fn errors_of_the_kernel_are_named() {
        use rustix::io::Errno;
        for (errno, expected) in [
            (Errno::MFILE, Refusal::Busy),
            (Errno::HOSTUNREACH, Refusal::NoRoute),
            (Errno::CONNREFUSED, Refusal::CameraRefused),
            (Errno::TIMEDOUT, Refusal::CameraSilent),
            (Errno::INVAL, Refusal::Failed),
        ] {
            assert_eq!(refusal(&io::Error::from(errno)), expected);
        }
        assert_eq!(refusal(&io::ErrorKind::TimedOut.into()), Refusal::CameraSilent);
    }
}
