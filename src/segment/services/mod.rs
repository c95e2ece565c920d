//! What cameras get on the segment instead of the internet: DNS, the time, and a sink that looks and resets.
//!
//! What does *not* belong here: DHCP (dnsmasq's), what is redirected (the packet filter's), and what the frames say
//! (the observer's).

mod counts;
pub mod dns;
mod dns_tcp;
mod names;
pub mod ntp;
mod places;
mod rate;
pub mod recognise;
mod sink;
mod sockets;
mod tcp;
mod udp;

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::time::Instant;

use self::dns::Zone;
use self::places::Places;
use self::rate::{Pace, Rates};
use self::sink::Original;
use super::{Beats, MacAddr, Plan, Sighting};
use crate::limits;

pub use self::counts::{Count, Counts};
pub use self::sockets::{CannotOpen, Sockets};

/// Serves until the future is dropped, by the newest plan (its address apart: sockets stay where they were opened).
/// What connections said in the sink goes to `note`; `mac_of` knows the device of an IP address. Watched by `beats`
/// as `dns`, `dns_tcp`, `ntp` and `sink`. Fails only if the runtime cannot take the sockets.
pub async fn serve(
    sockets: Sockets,
    plan: watch::Receiver<Arc<Plan>>,
    beats: &Beats,
    counts: Arc<Counts>,
    note: impl Fn(Sighting) + Clone + Send + 'static,
    mac_of: impl Fn(IpAddr) -> Option<MacAddr> + Clone + Send + 'static,
) -> io::Result<Infallible> {
    serve_with(sockets, plan, beats, counts, note, mac_of, sink::original_destination).await
}

/// With another way to learn where a connection was going, for tests.
async fn serve_with(
    sockets: Sockets,
    plan: watch::Receiver<Arc<Plan>>,
    beats: &Beats,
    counts: Arc<Counts>,
    note: impl Fn(Sighting) + Clone + Send + 'static,
    mac_of: impl Fn(IpAddr) -> Option<MacAddr> + Clone + Send + 'static,
    original: Original,
) -> io::Result<Infallible> {
    let dns = UdpSocket::from_std(sockets.dns)?;
    let dns_tcp = TcpListener::from_std(sockets.dns_tcp)?;
    let ntp = UdpSocket::from_std(sockets.ntp)?;
    let sink = TcpListener::from_std(sockets.sink)?;
    tokio::join!(
        serve_dns(dns, dns_tcp, plan, beats, &counts),
        serve_ntp(ntp, beats, &counts),
        serve_sink(sink, beats, &counts, note, mac_of, original),
    );
    // None of them ends.
    std::future::pending().await
}

async fn serve_dns(
    udp: UdpSocket,
    tcp: TcpListener,
    plan: watch::Receiver<Arc<Plan>>,
    beats: &Beats,
    counts: &Arc<Counts>,
) {
    let each = Pace { per_second: limits::DNS_PER_SECOND, burst: 2 * limits::DNS_PER_SECOND };
    let all = limits::DNS_PER_SECOND_IN_ALL;
    let rates = Arc::new(Mutex::new(Rates::new(each, Pace { per_second: all, burst: all }, now())));
    let tally = udp::Tally {
        answered: &counts.dns_answered,
        over_pace: &counts.dns_over_pace,
        ignored: &counts.dns_ignored,
    };
    let zone = move || {
        let plan = plan.borrow();
        Zone { gateway: plan.address, policy: plan.dns }
    };
    let by_udp =
        udp::serve(udp, &rates, tally, beats.task("dns"), |question| dns::answer(question, zone()));
    let places = Places::new(limits::DNS_CONNECTIONS, limits::DNS_CONNECTIONS_PER_SOURCE);
    let by_tcp =
        tcp::serve(tcp, places, Arc::clone(counts), beats.task("dns_tcp"), |stream, source| {
            let (rates, zone, counts) = (Arc::clone(&rates), zone.clone(), Arc::clone(counts));
            dns_tcp::serve(stream, source, move |question, source| {
                if !udp::may_answer(&rates, source) {
                    counts.dns_over_pace.one();
                    return None;
                }
                let answer = dns::answer(question, zone());
                match answer {
                    Some(_) => counts.dns_answered.one(),
                    None => counts.dns_ignored.one(),
                }
                answer
            })
        });
    tokio::join!(by_udp, by_tcp);
}

async fn serve_ntp(udp: UdpSocket, beats: &Beats, counts: &Counts) {
    let each = Pace { per_second: limits::NTP_PER_SECOND, burst: 4 * limits::NTP_PER_SECOND };
    let all = limits::NTP_PER_SECOND_IN_ALL;
    let rates = Mutex::new(Rates::new(each, Pace { per_second: all, burst: all }, now()));
    let tally = udp::Tally {
        answered: &counts.ntp_answered,
        over_pace: &counts.ntp_over_pace,
        ignored: &counts.ntp_ignored,
    };
    udp::serve(udp, &rates, tally, beats.task("ntp"), |datagram| {
        ntp::answer(datagram, SystemTime::now()).map(Vec::from)
    })
    .await;
}

async fn serve_sink(
    tcp: TcpListener,
    beats: &Beats,
    counts: &Arc<Counts>,
    note: impl Fn(Sighting) + Clone + Send + 'static,
    mac_of: impl Fn(IpAddr) -> Option<MacAddr> + Clone + Send + 'static,
    original: Original,
) {
    let places = Places::new(limits::SINK_CONNECTIONS, limits::SINK_CONNECTIONS_PER_SOURCE);
    tcp::serve(tcp, places, Arc::clone(counts), beats.task("sink"), |stream, source| {
        let counts = Arc::clone(counts);
        sink::serve(stream, source, original, counts, note.clone(), mac_of.clone())
    })
    .await;
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

#[cfg(test)]
mod tests;
