//! From a connection that has said nothing yet to a byte stream.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::base64_stream::NotBase64;
use super::head::{self, Asked, Cookie, HeadEnd, NotTunnel, Opening, Version, refusal};
use super::https::Halves;
use super::pending::{Owner, Pending, Refused, Ticket};
use super::websocket::Socket;
use super::{ByteStream, Settings};
use crate::ops::limits;
use crate::ops::metrics::{Metrics, TunnelKind};
use crate::trust::audit::{self, Event};
use crate::trust::auth::PreAuthPlace;
use crate::trust::tls::PeerIdentity;

/// The tunnels of all listeners.
#[derive(Debug)]
pub struct Tunnels<S> {
    settings: Settings,
    pending: Mutex<Pending<oneshot::Sender<PostHalf<S>>>>,
    metrics: Arc<Metrics>,
}

/// A connection before its first byte.
#[derive(Debug)]
pub struct NewConnection<S> {
    /// Name of the listener.
    pub listener: String,
    /// The bytes.
    pub stream: S,
    /// Who connects.
    pub peer: SocketAddr,
    /// What the verified client certificate says, if there is one.
    pub identity: Option<PeerIdentity>,
    /// Its place before login.
    pub place: PreAuthPlace,
}

/// A byte stream for RTSP.
#[derive(Debug)]
pub struct Entered<S> {
    /// The bytes.
    pub stream: ByteStream<S>,
    /// The place before login.
    pub place: PreAuthPlace,
    /// Since when that place is held: the time for the login counts from here.
    pub since: Instant,
}

/// On its way to the task of its GET half.
#[derive(Debug)]
struct PostHalf<S> {
    stream: S,
    place: PreAuthPlace,
    since: Instant,
    body: Bytes,
    alive: oneshot::Sender<()>,
}

/// What the first bytes were.
enum FirstRequest {
    Rtsp(Bytes),
    /// And what came behind the head.
    Http(Asked, Bytes),
}

/// Why there is no byte stream.
#[derive(Debug, thiserror::Error)]
enum NotEntered {
    #[error("closed")]
    Closed,
    #[error("sent nothing")]
    Silent,
    #[error("did not finish a request in time")]
    Slow,
    #[error("GET without its POST")]
    Alone,
    #[error("bytes after the GET of a tunnel")]
    Talks,
    #[error(transparent)]
    NotTunnel(#[from] NotTunnel),
    #[error(transparent)]
    Pending(#[from] Refused),
    #[error(transparent)]
    Body(#[from] NotBase64),
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Tunnels<S> {
    /// No half waits.
    pub fn new(settings: Settings, metrics: Arc<Metrics>) -> Self {
        Self { settings, pending: Mutex::new(Pending::new()), metrics }
    }

    /// Reads as much as it takes to tell RTSP from a tunnel, and waits for the other half of one. `None`: the
    /// connection is over, refused or for want of bytes, or was the POST half of a session that is over now.
    pub async fn enter(&self, arrived: NewConnection<S>) -> Option<Entered<S>> {
        let since = Instant::now();
        let NewConnection { listener, mut stream, peer, identity, place } = arrived;
        if self.settings == Settings::CLOSED {
            return Some(Entered {
                stream: ByteStream::Direct(Bytes::new(), stream),
                place,
                since,
            });
        }
        let owner = Owner {
            listener,
            address: peer.ip().to_canonical(),
            certificate: identity.map(|identity| identity.fingerprint),
        };
        match open(&mut stream, since).await {
            Ok(FirstRequest::Rtsp(first)) => {
                Some(Entered { stream: ByteStream::Direct(first, stream), place, since })
            }
            Ok(FirstRequest::Http(asked, _)) if !self.settings.allow(&asked) => {
                self.end(stream, &owner, NotTunnel::Other.into()).await
            }
            Ok(FirstRequest::Http(Asked::Get(cookie), rest)) => {
                self.get(stream, cookie, &owner, place, &rest).await
            }
            Ok(FirstRequest::Http(Asked::Post(cookie), body)) => {
                self.post(stream, &cookie, &owner, place, since, body).await
            }
            Ok(FirstRequest::Http(Asked::WebSocket(key), first)) => {
                if let Err(ended) = answer(&mut stream, &key.answer()).await {
                    return self.end(stream, &owner, ended).await;
                }
                self.metrics.tunnel.opened(&owner.listener, TunnelKind::WebSocket);
                let socket = Box::new(Socket::new(stream, &first));
                Some(Entered { stream: ByteStream::WebSocket(socket), place, since })
            }
            Err(ended) => self.end(stream, &owner, ended).await,
        }
    }

    /// The GET half waits for its POST, without a place before login: see [`limits::TUNNELS_PENDING`].
    async fn get(
        &self,
        mut stream: S,
        cookie: Cookie,
        owner: &Owner,
        place: PreAuthPlace,
        rest: &[u8],
    ) -> Option<Entered<S>> {
        if !rest.is_empty() {
            return self.end(stream, owner, NotEntered::Talks).await;
        }
        let post = match self.join(&mut stream, cookie, owner, place).await {
            Ok(post) => post,
            Err(ended) => return self.end(stream, owner, ended).await,
        };
        let PostHalf { stream: up, place, since, body, alive } = post;
        match Halves::new(stream, up, &body, alive) {
            Ok(halves) => {
                self.metrics.tunnel.opened(&owner.listener, TunnelKind::Https);
                Some(Entered { stream: ByteStream::Https(Box::new(halves)), place, since })
            }
            Err(error) => self.write_down(owner, &error.into()),
        }
    }

    /// The POST half goes to the task of its GET; this one lives as long as their session.
    async fn post(
        &self,
        stream: S,
        cookie: &Cookie,
        owner: &Owner,
        place: PreAuthPlace,
        since: Instant,
        body: Bytes,
    ) -> Option<Entered<S>> {
        let to = self.lock().join(cookie, owner);
        let to = match to {
            Ok(to) => to,
            Err(refused) => return self.end(stream, owner, refused.into()).await,
        };
        let (alive, gone) = oneshot::channel();
        // If the GET half went at this very moment, both are dropped: there is nobody to refuse.
        if to.send(PostHalf { stream, place, since, body, alive }).is_ok() {
            gone.await.ok();
        }
        None
    }

    /// Opens the GET half for its POST, and waits for that.
    async fn join(
        &self,
        stream: &mut S,
        cookie: Cookie,
        owner: &Owner,
        place: PreAuthPlace,
    ) -> Result<PostHalf<S>, NotEntered> {
        let (to, mut post) = oneshot::channel();
        let ticket = self.lock().insert(cookie, owner.clone(), to)?;
        let _counted = self.metrics.tunnel.pending();
        let _waiting = Waiting { tunnels: self, ticket };
        answer(stream, head::OPENED).await?;
        drop(place);
        let deadline = sleep(limits::TUNNEL_JOIN);
        tokio::select! {
            biased;
            // An error: it had to make room for another source's.
            post = &mut post => post.map_err(|_| NotEntered::Pending(Refused::Full)),
            read = stream.read_u8() => Err(if read.is_ok() { NotEntered::Talks } else { NotEntered::Closed }),
            () = deadline => Err(NotEntered::Alone),
        }
    }

    /// Tells the client, as far as it listens, and the log.
    async fn end(&self, mut stream: S, owner: &Owner, ended: NotEntered) -> Option<Entered<S>> {
        self.write_down(owner, &ended);
        let farewell = async {
            if let Some(refusal) = ended.refusal() {
                stream.write_all(refusal.as_bytes()).await?;
            }
            stream.shutdown().await
        };
        // Nobody waits for the outcome: the connection is dropped next.
        timeout(limits::GOODBYE, farewell).await.ok();
        None
    }

    fn write_down(&self, owner: &Owner, ended: &NotEntered) -> Option<Entered<S>> {
        let source = owner.address;
        match ended {
            NotEntered::Closed => {}
            NotEntered::Silent => {
                audit::record(Event::ConnectionPenalised { source, reason: "sent nothing" });
            }
            NotEntered::Slow => {
                let reason = "did not finish a request in time";
                audit::record(Event::ConnectionPenalised { source, reason });
            }
            NotEntered::Alone
            | NotEntered::Talks
            | NotEntered::NotTunnel(_)
            | NotEntered::Pending(_)
            | NotEntered::Body(_) => {
                self.metrics.tunnel.refused(&owner.listener);
                let reason = &ended.to_string();
                audit::record(Event::TunnelRefused { source, reason });
            }
        }
        tracing::debug!(%source, reason = %ended, "connection ended before RTSP");
        None
    }
}

impl<S> Tunnels<S> {
    fn lock(&self) -> MutexGuard<'_, Pending<oneshot::Sender<PostHalf<S>>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A half in the table. Drop takes it out, if no POST has.
struct Waiting<'a, S> {
    tunnels: &'a Tunnels<S>,
    ticket: Ticket,
}

impl<S> Drop for Waiting<'_, S> {
    fn drop(&mut self) {
        self.tunnels.lock().leave(&self.ticket);
    }
}

/// Reads until it is clear what the first bytes are, and a whole head if they are HTTP.
async fn open(
    stream: &mut (impl AsyncRead + Unpin),
    since: Instant,
) -> Result<FirstRequest, NotEntered> {
    let mut buffer = BytesMut::new();
    let mut end = HeadEnd::default();
    let mut deadline = since + limits::FIRST_BYTE;
    loop {
        buffer.reserve(limits::TUNNEL_READ_BYTES);
        match timeout_at(deadline, stream.read_buf(&mut buffer)).await {
            Err(_) if buffer.is_empty() => return Err(NotEntered::Silent),
            Err(_) => return Err(NotEntered::Slow),
            Ok(Err(_) | Ok(0)) => return Err(NotEntered::Closed),
            Ok(Ok(bytes)) if bytes == buffer.len() => deadline = Instant::now() + limits::REQUEST,
            Ok(Ok(_)) => {}
        }
        match Opening::of(&buffer) {
            Opening::Open => {}
            Opening::Rtsp => return Ok(FirstRequest::Rtsp(buffer.freeze())),
            Opening::Http => {
                if let Some(bytes) = end.find(&buffer)? {
                    let head = buffer.split_to(bytes);
                    return Ok(FirstRequest::Http(Asked::parse(&head)?, buffer.freeze()));
                }
            }
        }
    }
}

async fn answer(stream: &mut (impl AsyncWrite + Unpin), text: &str) -> Result<(), NotEntered> {
    let answer = async {
        stream.write_all(text.as_bytes()).await?;
        stream.flush().await
    };
    match timeout(limits::REQUEST, answer).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(NotEntered::Closed),
    }
}

impl Settings {
    fn allow(self, asked: &Asked) -> bool {
        match asked {
            Asked::Get(_) | Asked::Post(_) => self.https,
            Asked::WebSocket(_) => self.websocket,
        }
    }
}

impl NotEntered {
    /// What the client is told; `None`: there is no request to answer, or it was answered.
    fn refusal(&self) -> Option<String> {
        match self {
            Self::Closed
            | Self::Silent
            | Self::Slow
            | Self::Alone
            | Self::Talks
            | Self::Body(_) => None,
            Self::NotTunnel(reason) => Some(refusal(Version::Http11, reason.status())),
            Self::Pending(reason) => Some(refusal(Version::Http10, reason.status())),
        }
    }
}
