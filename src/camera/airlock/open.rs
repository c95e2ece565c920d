//! Drives retina through the airlock to a playing session.

use std::future::Future;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Failure, LoginMemory, Opened, Request};

/// Opens a session over `camera`, an already connected byte stream, and plays it.
///
/// `redial` is called at most once, if the camera closes the connection with its first `401`; it must
/// connect to the same address. Returns within the sum of the limits for answers; the caller may put
/// its own timeout around. The failure's reason is the airlock's own, never retina's text.
pub async fn open<S, R, F>(
    camera: S,
    redial: R,
    request: &Request,
    memory: LoginMemory,
) -> Result<Opened, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    R: FnOnce() -> F + Send + 'static,
    F: Future<Output = io::Result<S>> + Send + 'static,
{
    let _ = (camera, redial, request, memory);
    todo!()
}
