//! How connections end, and what is said about it.

use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::{Connection, READ_BYTES, Stage};
use crate::hub::EndReason;
use crate::serve::overload::Resource;
use crate::serve::rtsp_server::machine::CloseReason;
use crate::trust::audit::{self, Event};
use crate::wire::rtsp::Violation;

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// The client closed it.
    #[error("client closed the connection")]
    Closed,
    /// Reading or writing failed.
    #[error("connection failed: {0}")]
    Failed(io::ErrorKind),
    /// No byte within [`crate::ops::limits::FIRST_BYTE`].
    #[error("client sent nothing")]
    Silent,
    /// A message did not become whole within [`crate::ops::limits::REQUEST`].
    #[error("client did not finish a request in time")]
    SlowRequest,
    /// No login within [`crate::ops::limits::LOGIN`].
    #[error("client did not log in in time")]
    NoLogin,
    /// The client broke the grammar or a limit.
    #[error("client broke the protocol: {0}")]
    Violation(Violation),
    /// The client broke the protocol below RTSP: TLS, or the tunnel it came by. How, for the log.
    #[error("client broke the protocol below RTSP: {0}")]
    Below(String),
    /// The client asked for too much, or for nothing.
    #[error("{0}")]
    Rules(CloseReason),
    /// No byte of a write taken within the write stall, or not all of it within [`crate::ops::limits::WRITE_WHOLE`].
    #[error("client does not read, or too slowly")]
    Stalled,
    /// A permit of one of its sessions no longer holds.
    #[error("permit revoked")]
    Revoked,
    /// It lagged, and the gateway is short of this.
    #[error("client lagged and the gateway is overloaded ({})", .0.name())]
    Overloaded(Resource),
    /// Nobody is served any more.
    #[error("camera isolation not verified, and gateway.canary requires it")]
    Unproven,
    /// A stream it plays ended or changed its format.
    #[error("{0}")]
    Stream(EndReason),
    /// The gateway stops.
    #[error("the gateway stops")]
    Stopping,
}

impl End {
    /// Players that stop rarely say goodbye: a reset is an ordinary close.
    pub(super) fn of(error: &io::Error) -> Self {
        let gone = [
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::BrokenPipe,
            io::ErrorKind::UnexpectedEof,
        ];
        let kind = error.kind();
        if kind == io::ErrorKind::InvalidData {
            Self::Below(audit::quoted(&error.to_string()))
        } else if gone.contains(&kind) {
            Self::Closed
        } else {
            Self::Failed(kind)
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    /// What a connection did before it logged in may be somebody's probing; a reader that had to go may ask why.
    pub(super) fn write_down(&self, end: &End, source: IpAddr) {
        if let End::Overloaded(resource) = end {
            for permit in self.readers.playing() {
                let (principal, stream) = (permit.principal().name(), permit.stream());
                let resource = resource.name();
                audit::record(Event::ReaderShed { source, principal, stream, resource });
            }
        }
        match self.stage {
            Stage::Known | Stage::Closing(_, None) => return,
            Stage::Silent(_) | Stage::Strange(_) | Stage::Closing(_, Some(_)) => {}
        }
        let reason = match end {
            End::Silent => "sent nothing",
            End::SlowRequest => "did not finish a request in time",
            End::NoLogin => "did not log in in time",
            End::Violation(_) | End::Below(_) => "broke the protocol",
            End::Rules(_) => "broke the rules",
            End::Stalled => "took no data",
            End::Closed
            | End::Failed(_)
            | End::Revoked
            | End::Overloaded(_)
            | End::Unproven
            | End::Stream(_)
            | End::Stopping => return,
        };
        audit::record(Event::ConnectionPenalised { source, reason });
    }

    /// A clean end says so, where nothing hangs half written.
    pub(super) async fn say_goodbye(&mut self, end: &End, deadline: Instant) {
        let is_clean = match end {
            End::Silent
            | End::SlowRequest
            | End::NoLogin
            | End::Violation(_)
            | End::Rules(_)
            | End::Overloaded(_)
            | End::Unproven
            | End::Stream(_)
            | End::Stopping => self.outbox.is_idle(),
            End::Below(_) | End::Closed | End::Failed(_) | End::Stalled | End::Revoked => false,
        };
        if is_clean {
            // Nobody waits for the outcome: the connection is dropped next.
            timeout_at(deadline, self.leave(end)).await.ok();
        }
    }

    async fn leave(&mut self, end: &End) -> io::Result<()> {
        self.stream.shutdown().await?;
        // To close over what a client said last is to reset the connection, and with it goes what the kernel
        // has yet to send. A client that listens has the end in hand at once, and closes too.
        if matches!(end, End::Stream(_) | End::Stopping) {
            let mut unheard = [0; READ_BYTES];
            while self.stream.read(&mut unheard).await? > 0 {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_tls_or_tunnel_is_the_clients_fault_and_a_reset_is_an_ordinary_end() {
        let end = |kind: io::ErrorKind| End::of(&kind.into());
        let unmasked = io::Error::new(io::ErrorKind::InvalidData, "a frame\nwithout a mask");
        let told = End::of(&unmasked).to_string();
        assert_eq!(told, "client broke the protocol below RTSP: a frame\\nwithout a mask");
        assert_eq!(end(io::ErrorKind::ConnectionReset), End::Closed);
        let other = io::ErrorKind::TimedOut;
        assert_eq!(end(other), End::Failed(other));
    }
}
