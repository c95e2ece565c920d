//! Brings a camera to play.

use std::future::Future;
use std::io;

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::io::{AsyncRead, AsyncWrite};

use super::client::Client;
use super::session::{Closed, Session};
use super::{Counts, EndReason, Failure, LoginMemory, Request};

/// Opens a session over `camera`, an already connected byte stream, and plays it.
///
/// `redial` is called at most once, if the camera closes the connection with its first `401`; it must
/// connect to the same address. Each step has its limit, so it returns; so it does once `stop` has. TEARDOWN is said
/// if there was a session. Dropping the future closes the connection without one.
pub async fn open<S, R, F>(
    camera: S,
    redial: R,
    request: &Request,
    memory: LoginMemory,
    stop: impl Future<Output = ()>,
) -> Result<Session<S>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
    R: FnOnce() -> F,
    F: Future<Output = io::Result<S>>,
{
    let failure = |reason| Failure { reason, memory, counts: Counts::default() };
    let client_nonce = client_nonce().ok_or_else(|| failure(EndReason::Stopped))?;
    let now = tokio::time::Instant::now().into_std();
    let client = Client::new(request, memory, client_nonce, now).map_err(failure)?;
    let mut session = Session::new(camera, client);
    let started = tokio::select! {
        biased;
        () = stop => Err(EndReason::Stopped),
        started = session.start(redial) => started,
    };
    match started {
        Ok(()) => Ok(session),
        Err(reason) => {
            let Closed { memory, counts } = session.close().await;
            Err(Failure { reason, memory, counts })
        }
    }
}

/// 128 random bits, as Digest wants them. `None`: the system gives none.
fn client_nonce() -> Option<String> {
    let mut bytes = [0_u8; 16];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
