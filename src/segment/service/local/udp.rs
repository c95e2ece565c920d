//! The loop of a service that answers datagrams.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, interval, sleep};

use super::counts::Count;
use super::rate::Rates;
use crate::ops::limits;
use crate::ops::systemd::Progress;

/// One byte over the longest question, so that longer ones show.
const DATAGRAM_BYTES: usize = limits::DNS_QUESTION_BYTES + 1;

/// How many datagrams were answered, and how many were not: too many came, or none of them had an answer.
#[derive(Debug)]
pub(super) struct Tally<'a> {
    pub(super) answered: &'a Count,
    pub(super) over_pace: &'a Count,
    pub(super) ignored: &'a Count,
}

/// Answers until the future is dropped. `answer` gets each datagram within the pace. What the kernel cannot send at
/// once is lost: whoever asks over UDP asks again. Advances its progress at least once a second.
pub(super) async fn serve(
    socket: UdpSocket,
    rates: &Mutex<Rates>,
    tally: Tally<'_>,
    progress: Progress,
    answer: impl Fn(&[u8]) -> Option<Vec<u8>>,
) {
    let mut second = interval(Duration::from_secs(1));
    let mut buffer = [0; DATAGRAM_BYTES];
    loop {
        let (datagram, from) = tokio::select! {
            _ = second.tick() => {
                progress.advance();
                continue;
            }
            received = receive(&socket, &mut buffer) => match received {
                Ok(received) => received,
                Err(_) => {
                    // No peer's fault, and nothing to be done: do not spin.
                    sleep(limits::ACCEPT_PAUSE_MIN).await;
                    continue;
                }
            },
        };
        let SocketAddr::V4(source) = from else { continue };
        if !may_answer(rates, *source.ip()) {
            tally.over_pace.one();
            continue;
        }
        match answer(datagram) {
            Some(reply) if socket.try_send_to(&reply, from).is_ok() => tally.answered.one(),
            Some(_) | None => tally.ignored.one(),
        }
    }
}

/// Counts an answer to this source, if it may have one now.
pub(super) fn may_answer(rates: &Mutex<Rates>, source: Ipv4Addr) -> bool {
    let now = Instant::now().into_std();
    rates.lock().unwrap_or_else(PoisonError::into_inner).take(source, now)
}

async fn receive<'a>(
    socket: &UdpSocket,
    buffer: &'a mut [u8; DATAGRAM_BYTES],
) -> io::Result<(&'a [u8], SocketAddr)> {
    let (length, from) = socket.recv_from(buffer).await?;
    // Nobody has port 0; an answer there would be an error of ours.
    let asks = from.port() != 0 && from.ip() != Ipv4Addr::UNSPECIFIED;
    let datagram = if asks { buffer.get(..length) } else { None };
    Ok((datagram.unwrap_or_default(), from))
}
