//! The gateway's side of the door: it asks the segment's service for a camera, and looks at what it gets.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::ingest::segment::CameraAddr;
use crate::ops::limits;
use crate::segment::shared::wire::{Answer, Ask, BadWire, Refusal};

/// Descriptors that an answer has room for: one more than it may have.
pub(super) const ROOM: usize = 2;

/// Why the segment's service gave no camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoDoor {
    /// The service is not there, or does not let this process in.
    #[error(
        "cannot reach camlock-segment ({0}): is camlock-segment running, and \
         gateway.segment its directory?"
    )]
    Away(io::ErrorKind),
    /// No answer within [`limits::SEGMENT_ANSWER`].
    #[error("the camera segment's service did not answer in time: see its log, restart it")]
    Silent,
    /// It refused.
    #[error("{0}")]
    Refused(Refusal),
    /// Its answer is none.
    #[error("the camera segment's service sent an invalid answer: do both run the same version?")]
    BadAnswer(BadAnswer),
    /// What it gave is no connection to this camera.
    #[error(
        "the camera segment's service passed a socket that is not connected to this camera ({0}): the \
         camera's address here and in the segment file must be the same"
    )]
    WrongDescriptor(WrongDescriptor),
}

/// An answer that no sound service gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadAnswer {
    /// The service closed the door without one.
    Nothing,
    /// It is no byte of an answer.
    Wire(BadWire),
    /// A refusal with a descriptor beside it.
    RefusedAndGiven,
}

/// What is wrong with a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongDescriptor {
    /// There is none.
    #[error("no descriptor")]
    None,
    /// There is more than one.
    #[error("more than one descriptor")]
    Many,
    /// It would be inherited by a program that this process starts.
    #[error("a descriptor that would be inherited")]
    Inheritable,
    /// It is no TCP socket of the address family of the camera.
    #[error("no TCP socket")]
    NotTcp,
    /// It is not connected, or to another address than the camera's.
    #[error("connected to another address")]
    OtherPeer,
}

impl NoDoor {
    /// A stable word for metrics and the security log.
    pub fn label(self) -> &'static str {
        match self {
            Self::Away(_) => "segment_away",
            Self::Silent => "segment_silent",
            Self::Refused(Refusal::UnknownCamera) => "segment_unknown_camera",
            Self::Refused(Refusal::PortNotListed) => "segment_port_not_listed",
            Self::Refused(Refusal::Busy) => "segment_busy",
            Self::Refused(Refusal::CameraRefused | Refusal::CameraSilent | Refusal::NoRoute) => {
                "unreachable"
            }
            Self::Refused(Refusal::BadAsk | Refusal::Failed) => "segment_failed",
            Self::BadAnswer(_) => "segment_bad_answer",
            Self::WrongDescriptor(_) => "segment_wrong_descriptor",
        }
    }

    /// Whether the service was not there to ask, so that nothing is known of the camera.
    pub fn is_away(self) -> bool {
        match self {
            Self::Away(_) | Self::Silent => true,
            Self::Refused(_) | Self::BadAnswer(_) | Self::WrongDescriptor(_) => false,
        }
    }

    /// Whether it belongs into the security log: an ask for what root did not allow, or an answer that is a lie.
    pub fn is_about_trust(self) -> bool {
        match self {
            Self::Refused(Refusal::UnknownCamera | Refusal::PortNotListed)
            | Self::BadAnswer(_)
            | Self::WrongDescriptor(_) => true,
            Self::Away(_) | Self::Silent | Self::Refused(_) => false,
        }
    }
}

/// Asks at `door` for a camera. Takes at most [`limits::SEGMENT_ANSWER`].
pub(super) async fn dial(door: &Path, camera: &CameraAddr) -> Result<TcpStream, NoDoor> {
    let asked = timeout(limits::SEGMENT_ANSWER, ask_and_hear(door, camera)).await;
    let (code, descriptors) = asked.map_err(|_| NoDoor::Silent)??;
    match Answer::decode(code).map_err(|bad| NoDoor::BadAnswer(BadAnswer::Wire(bad)))? {
        Answer::Refused(_) if !matches!(descriptors, Given::Nothing) => {
            Err(NoDoor::BadAnswer(BadAnswer::RefusedAndGiven))
        }
        Answer::Refused(refusal) => Err(NoDoor::Refused(refusal)),
        Answer::Connected => {
            let one = descriptors.one().map_err(NoDoor::WrongDescriptor)?;
            check(one, camera.get()).map_err(NoDoor::WrongDescriptor)
        }
    }
}

async fn ask_and_hear(door: &Path, camera: &CameraAddr) -> Result<(u8, Given), NoDoor> {
    let ask = Ask { camera: camera.name().to_owned(), port: camera.get().port() };
    let bytes = ask.encode().map_err(|bad| NoDoor::BadAnswer(BadAnswer::Wire(bad)))?;
    let away = |error: io::Error| NoDoor::Away(error.kind());
    let mut stream = UnixStream::connect(door).await.map_err(away)?;
    stream.write_all(&bytes).await.map_err(away)?;
    let heard = stream.async_io(Interest::READABLE, || hear(&stream)).await.map_err(away)?;
    heard.map_err(NoDoor::BadAnswer)
}

/// The descriptors beside an answer. Those that are too many are closed here.
#[derive(Debug)]
enum Given {
    Nothing,
    One(OwnedFd),
    Many,
}

impl Given {
    fn one(self) -> Result<OwnedFd, WrongDescriptor> {
        match self {
            Self::Nothing => Err(WrongDescriptor::None),
            Self::One(descriptor) => Ok(descriptor),
            Self::Many => Err(WrongDescriptor::Many),
        }
    }
}

/// One read: the answer is one byte, so whatever else comes is not waited for.
fn hear(stream: &UnixStream) -> io::Result<Result<(u8, Given), BadAnswer>> {
    let mut bytes = [0; 2];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(ROOM))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let got = recvmsg(stream, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut given = Given::Nothing;
    for message in control.drain() {
        let RecvAncillaryMessage::ScmRights(descriptors) = message else { continue };
        for descriptor in descriptors {
            given = match given {
                Given::Nothing => Given::One(descriptor),
                Given::One(_) | Given::Many => Given::Many,
            };
        }
    }
    if got.flags.contains(ReturnFlags::CTRUNC) {
        given = Given::Many;
    }
    let [code, _] = bytes;
    Ok(match got.bytes {
        0 => Err(BadAnswer::Nothing),
        1 => Ok((code, given)),
        _ => Err(BadAnswer::Wire(BadWire::Trailing)),
    })
}

/// Whether a descriptor is a connection to `camera`, ready for the runtime.
fn check(descriptor: OwnedFd, camera: SocketAddr) -> Result<TcpStream, WrongDescriptor> {
    let flags = fcntl_getfd(&descriptor).map_err(|_| WrongDescriptor::NotTcp)?;
    if !flags.contains(FdFlags::CLOEXEC) {
        return Err(WrongDescriptor::Inheritable);
    }
    let not_tcp = |_: io::Error| WrongDescriptor::NotTcp;
    let socket = Socket::from(descriptor);
    let is_tcp = socket.r#type().map_err(not_tcp)? == Type::STREAM
        && socket.domain().map_err(not_tcp)? == Domain::for_address(camera)
        && socket.protocol().map_err(not_tcp)? == Some(Protocol::TCP);
    if !is_tcp {
        return Err(WrongDescriptor::NotTcp);
    }
    let peer = socket.peer_addr().ok().and_then(|peer| peer.as_socket());
    if peer != Some(camera) {
        return Err(WrongDescriptor::OtherPeer);
    }
    socket.set_nonblocking(true).map_err(not_tcp)?;
    socket.set_tcp_nodelay(true).map_err(not_tcp)?;
    TcpStream::from_std(socket.into()).map_err(not_tcp)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::os::fd::{AsFd as _, BorrowedFd};
    use std::path::PathBuf;

    use strum::VariantArray as _;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, UnixListener};

    use super::*;
    use crate::ingest::segment::{Mode, NotDialled, Segment, Settings};
    use crate::segment::service::dial_server::send;

    /// A service that answers one ask with `bytes` and descriptors, and then waits.
    struct Liar {
        dir: PathBuf,
        listener: UnixListener,
    }

    impl Liar {
        fn new(name: &str) -> Self {
            let dir =
                std::env::temp_dir().join(format!("camlock-ask-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            let listener = UnixListener::bind(dir.join("door.sock")).unwrap();
            Self { dir, listener }
        }

        async fn told(&self, camera: SocketAddr, bytes: &[u8], given: &[BorrowedFd<'_>]) -> NoDoor {
            let (segment, door) = segment(&self.dir, camera);
            let dial = segment.dial(&door);
            let lie = async {
                let (mut stream, _) = self.listener.accept().await.unwrap();
                let mut ask = [0; 8];
                stream.read_exact(&mut ask).await.unwrap();
                assert_eq!(send(&stream, bytes, given).unwrap(), bytes.len());
                stream
            };
            let (dialled, _stream) = tokio::join!(dial, lie);
            match dialled.unwrap_err() {
                NotDialled::Segment(why) => why,
                NotDialled::Unreachable(kind) => panic!("{kind}"),
            }
        }
    }

    impl Drop for Liar {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.dir).unwrap();
        }
    }

    fn segment(dir: &Path, camera: SocketAddr) -> (Segment, CameraAddr) {
        let mode = Mode::Remote { run_dir: dir.to_owned() };
        let cameras = [("door".to_owned(), camera)].into();
        let segment = Segment::new(Settings { mode, cameras, ..Settings::default() }).unwrap();
        let door = segment.address("door").unwrap();
        (segment, door)
    }

    #[allow(clippy::disallowed_methods, reason = "the camera of this test")]
    async fn connected() -> (TcpListener, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (listener, stream)
    }

    #[tokio::test]
    async fn a_lying_service_is_caught() {
        use BadAnswer::{Nothing, RefusedAndGiven, Wire};
        use WrongDescriptor::{Many, NotTcp, OtherPeer};
        let (camera, stream) = connected().await;
        let (_other_camera, other) = connected().await;
        let address = camera.local_addr().unwrap();
        let datagram = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        datagram.connect(address).unwrap();
        let unconnected = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let (local, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let (good, wrong) = (stream.as_fd(), NoDoor::WrongDescriptor);
        let liar = Liar::new("lies");
        for (bytes, given, expected) in [
            (&[0_u8][..], vec![], wrong(WrongDescriptor::None)),
            (&[0], vec![good, good], wrong(Many)),
            (&[0], vec![good, good, good], wrong(Many)),
            (&[0], vec![datagram.as_fd()], wrong(NotTcp)),
            (&[0], vec![local.as_fd()], wrong(NotTcp)),
            (&[0], vec![file.as_fd()], wrong(NotTcp)),
            (&[0], vec![unconnected.as_fd()], wrong(OtherPeer)),
            (&[0], vec![camera.as_fd()], wrong(OtherPeer)),
            (&[0], vec![other.as_fd()], wrong(OtherPeer)),
            (&[0, 0], vec![good], NoDoor::BadAnswer(Wire(BadWire::Trailing))),
            (&[0; 100_000], vec![good], NoDoor::BadAnswer(Wire(BadWire::Trailing))),
            (&[9], vec![], NoDoor::BadAnswer(Wire(BadWire::Code))),
            (&[2], vec![good], NoDoor::BadAnswer(RefusedAndGiven)),
            (&[2], vec![], NoDoor::Refused(Refusal::UnknownCamera)),
        ] {
            let many = given.len();
            assert_eq!(liar.told(address, bytes, &given).await, expected, "{} {many}", bytes.len());
        }
        let closed = async {
            let (stream, _) = liar.listener.accept().await.unwrap();
            socket2::SockRef::from(&stream).shutdown(std::net::Shutdown::Write).unwrap();
            stream
        };
        let (segment, door) = segment(&liar.dir, address);
        let (dialled, _stream) = tokio::join!(segment.dial(&door), closed);
        assert_eq!(dialled.unwrap_err(), NotDialled::Segment(NoDoor::BadAnswer(Nothing)));
    }

    #[tokio::test]
    async fn descriptors_that_are_not_taken_are_closed() {
        let (camera, stream) = connected().await;
        let liar = Liar::new("closed");
        let (mut accepted, _) = camera.accept().await.unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let told = liar.told(address, &[0], &[stream.as_fd(), stream.as_fd()]).await;
        assert_eq!(told, NoDoor::WrongDescriptor(WrongDescriptor::Many));
        drop(stream);
        // The last descriptor of the connection is gone only if none was kept.
        assert_eq!(accepted.read(&mut [0; 1]).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_service_is_left_in_time() {
        let liar = Liar::new("silent");
        let (segment, door) = segment(&liar.dir, "127.0.0.1:9".parse().unwrap());
        let begun = tokio::time::Instant::now();
        assert_eq!(segment.dial(&door).await.unwrap_err(), NotDialled::Segment(NoDoor::Silent));
        assert_eq!(begun.elapsed(), limits::SEGMENT_ANSWER);
    }

    #[tokio::test]
    async fn no_service_is_told() {
        let nowhere = std::env::temp_dir().join("camlock-no-such-directory");
        let (segment, door) = segment(&nowhere, "127.0.0.1:9".parse().unwrap());
        let away = NoDoor::Away(io::ErrorKind::NotFound);
        assert_eq!(segment.dial(&door).await.unwrap_err(), NotDialled::Segment(away));
        assert!(away.to_string().contains("is camlock-segment running"), "{away}");
    }

    #[test]
    fn the_reasons_are_these() {
        let all = every!(
            NoDoor; Away(io::ErrorKind::Other), Silent, Refused(Refusal::Busy),
            BadAnswer(BadAnswer::Nothing), WrongDescriptor(WrongDescriptor::None),
        );
        let refused = Refusal::VARIANTS.iter().copied().map(NoDoor::Refused);
        let labels: Vec<_> = all.into_iter().chain(refused).map(NoDoor::label).collect();
        assert_surface!("segment-no-connection", labels.join("\n"));
    }
}
