//! The way to one camera: the socket to its address, and TLS on it if it has an identity to prove.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tokio::net::TcpStream;
use url::Url;

use super::airlock::{self, Counts, EndReason, Failure, LoginMemory, Request, Session};
use super::certificate_book::{BookFailure, CertificateBook, Noted};
use super::pull::Ending;
use crate::ingest::segment::{CameraAddr, NotDialled, Segment};
use crate::trust::tls::Line;
use crate::trust::tls::client::{self, Expected, Failure as TlsFailure, Peer, Trust};

/// Where a camera is, and how it is known.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) segment: Arc<Segment>,
    pub(super) address: CameraAddr,
    /// `None`: plain RTSP, and whoever answers is taken for the camera.
    pub(super) identity: Option<Identity>,
}

/// How a camera proves that it is the right one.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) camera: String,
    pub(super) trust: Trust,
    pub(super) book: CertificateBook,
}

/// The way for the one re-dial that the airlock may ask for. Clones share what became of it.
#[derive(Debug, Clone)]
struct SecondWay {
    way: Way,
    refused: Arc<OnceLock<Ending>>,
}

/// A connection to a camera that is the right one.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) line: CameraLine,
    /// Who it is, if it had to say so.
    pub(super) peer: Option<Peer>,
    /// Its certificate was never seen before, and is written down now.
    pub(super) first_use: bool,
}

/// A camera's byte stream: RTSP, or RTSP within TLS.
pub(super) type CameraLine = Line<client::Stream<TcpStream>>;

/// The camera did not come to play.
#[derive(Debug)]
pub(super) struct NotOpened {
    pub(super) ending: Ending,
    pub(super) memory: LoginMemory,
    pub(super) counts: Counts,
}

impl Way {
    /// The URL of a path: it names the address that is dialled, and no account. `None`: the path makes none.
    pub(super) fn url(&self, path: &str) -> Option<Url> {
        let scheme = if self.identity.is_some() { "rtsps" } else { "rtsp" };
        // Made anew: the zone of an IPv6 address is the gateway's own business.
        let address = SocketAddr::new(self.address.get().ip(), self.address.get().port());
        Url::parse(&format!("{scheme}://{address}{path}")).ok()
    }

    /// Brings a camera that was connected to to play, unless `stop` returns before. It may be connected to once
    /// more, and must then be the same.
    pub(super) async fn open(
        &self,
        line: CameraLine,
        request: &Request,
        memory: LoginMemory,
        stop: impl Future<Output = ()>,
    ) -> Result<Session<CameraLine>, NotOpened> {
        let second = SecondWay::new(self);
        let redial = second.clone();
        let opened = airlock::open(line, move || redial.connect(), request, memory, stop).await;
        opened.map_err(|Failure { reason, memory, counts }| NotOpened {
            ending: second.ending(reason),
            memory,
            counts,
        })
    }

    /// Connects, and makes sure who answers, before a byte of RTSP is sent. At most
    /// [`crate::ops::limits::CAMERA_CONNECT`], or [`crate::ops::limits::SEGMENT_ANSWER`], and
    /// [`crate::ops::limits::CAMERA_HANDSHAKE`].
    pub(super) async fn connect(&self) -> Result<Connected, Ending> {
        let Some(identity) = &self.identity else {
            let line = Line::Plain(self.segment.dial(&self.address).await?);
            return Ok(Connected { line, peer: None, first_use: false });
        };
        let expected = identity.expected()?;
        let socket = self.segment.dial(&self.address).await?;
        let connected = client::connect(socket, self.address.get().ip(), &expected).await;
        let (stream, peer) = connected.map_err(|failure| identity.ending(failure))?;
        let first_use = identity.admit(&peer).await?;
        Ok(Connected { line: Line::Tls(stream), peer: Some(peer), first_use })
    }
}

impl SecondWay {
    fn new(way: &Way) -> Self {
        Self { way: way.clone(), refused: Arc::default() }
    }

    /// As [`Way::connect`].
    async fn connect(self) -> io::Result<CameraLine> {
        let arrived = self.way.connect().await;
        arrived.map(|arrived| arrived.line).map_err(|ending| {
            let error = io::Error::other(ending.label());
            self.refused.get_or_init(|| ending);
            error
        })
    }

    /// How a session ended that the airlock ended for this reason: if another than the camera took its second
    /// connection, that is to be told.
    fn ending(&self, reason: EndReason) -> Ending {
        match (reason, self.refused.get()) {
            (EndReason::RedialFailed, Some(Ending::Unreachable(_)) | None) => {
                Ending::Session(reason)
            }
            (EndReason::RedialFailed, Some(refused)) => *refused,
            (reason, _) => Ending::Session(reason),
        }
    }
}

impl Identity {
    fn expected(&self) -> Result<Expected, Ending> {
        Ok(match &self.trust {
            Trust::Pinned(pin) => Expected::This(*pin),
            Trust::Authority(authority) => Expected::Authority(authority.clone()),
            Trust::FirstUse => match self.book.known(&self.camera).map_err(Ending::from)? {
                Some(known) => Expected::This(known),
                None => Expected::Any,
            },
        })
    }

    /// Whether the camera is taken, and for the first time.
    async fn admit(&self, peer: &Peer) -> Result<bool, Ending> {
        let got = peer.fingerprint;
        match &self.trust {
            Trust::Authority(_) => Ok(false),
            Trust::Pinned(_) => {
                // The pin holds without the book; an old entry only makes a later first use strict.
                let _told_in_the_log = self.book.confirmed(&self.camera, got).await;
                Ok(false)
            }
            Trust::FirstUse => match self.book.first_use(&self.camera, got).await? {
                Noted::Known => Ok(false),
                Noted::First => Ok(true),
                // Another profile was first, a moment ago.
                Noted::Other(expected) => Err(Ending::CertificateChanged { expected, got }),
            },
        }
    }

    fn ending(&self, failure: TlsFailure) -> Ending {
        match (&self.trust, failure) {
            (Trust::FirstUse, TlsFailure::OtherCertificate { expected, got }) => {
                Ending::CertificateChanged { expected, got }
            }
            (Trust::FirstUse | Trust::Pinned(_) | Trust::Authority(_), failure) => {
                Ending::Tls(failure)
            }
        }
    }
}

impl From<NotDialled> for Ending {
    fn from(failure: NotDialled) -> Self {
        match failure {
            NotDialled::Unreachable(kind) => Self::Unreachable(kind),
            NotDialled::Segment(why) => Self::Segment(why),
        }
    }
}

impl From<BookFailure> for Ending {
    fn from(failure: BookFailure) -> Self {
        Self::CertificateBook(failure)
    }
}
