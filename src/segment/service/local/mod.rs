//! What cameras get on the segment instead of the internet: DNS, the time, and a sink that looks and resets.
//!
//! What does *not* belong here: DHCP (dnsmasq's), what is redirected (the packet filter's), and what the frames say
//! (the observer's).

mod counts;
pub mod dns;
pub mod ntp;
mod places;
mod rate;
pub mod recognise;
mod sink;
mod sockets;
mod tcp;
mod tell;
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
use self::tell::Teller;
use crate::ops::limits;
use crate::ops::systemd::Watched;
use crate::segment::{MacAddr, Plan, Protocol, Sighting, Verdict};

pub use self::counts::{Count, Counts};
pub use self::sockets::{CannotOpen, Sockets};

/// Serves until the future is dropped, by the newest plan (its address apart: sockets stay where they were opened).
/// What connections said goes to `note`: in the sink, and to DNS over TCP; `mac_of` knows the device of an IP address. Watched by `watched`
/// as `dns`, `dns_tcp`, `ntp` and `sink`. Fails only if the runtime cannot take the sockets.
pub async fn serve(
    sockets: Sockets,
    plan: watch::Receiver<Arc<Plan>>,
    watched: &Watched,
    counts: Arc<Counts>,
    note: impl Fn(Sighting) + Clone + Send + Sync + 'static,
    mac_of: impl Fn(IpAddr) -> Option<MacAddr> + Clone + Send + Sync + 'static,
) -> io::Result<Infallible> {
    let teller = Teller { note, mac_of, original: tell::original_destination };
    serve_with(sockets, plan, watched, counts, teller).await
}

/// With another way to learn where a connection was going, for tests.
async fn serve_with<N, M>(
    sockets: Sockets,
    plan: watch::Receiver<Arc<Plan>>,
    watched: &Watched,
    counts: Arc<Counts>,
    teller: Teller<N, M>,
) -> io::Result<Infallible>
where
    N: Fn(Sighting) + Clone + Send + Sync + 'static,
    M: Fn(IpAddr) -> Option<MacAddr> + Clone + Send + Sync + 'static,
{
    let dns = UdpSocket::from_std(sockets.dns)?;
    let dns_tcp = TcpListener::from_std(sockets.dns_tcp)?;
    let ntp = UdpSocket::from_std(sockets.ntp)?;
    let sink = TcpListener::from_std(sockets.sink)?;
    tokio::join!(
        serve_dns(dns, dns_tcp, plan, watched, &counts, &teller),
        serve_ntp(ntp, watched, &counts),
        serve_sink(sink, watched, &counts, &teller),
    );
    // None of them ends.
    std::future::pending().await
}

async fn serve_dns<N, M>(
    udp: UdpSocket,
    tcp: TcpListener,
    plan: watch::Receiver<Arc<Plan>>,
    watched: &Watched,
    counts: &Arc<Counts>,
    teller: &Teller<N, M>,
) where
    N: Fn(Sighting) + Clone + Send + Sync + 'static,
    M: Fn(IpAddr) -> Option<MacAddr> + Clone + Send + Sync + 'static,
{
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
    let by_udp = udp::serve(udp, &rates, tally, watched.part("dns"), |question| {
        dns::answer(question, zone())
    });
    let places = Places::new(limits::DNS_CONNECTIONS, limits::DNS_CONNECTIONS_PER_SOURCE);
    let by_tcp =
        tcp::serve(tcp, places, Arc::clone(counts), watched.part("dns_tcp"), |stream, source| {
            let (rates, zone, counts) = (Arc::clone(&rates), zone.clone(), Arc::clone(counts));
            let (teller, asked) = (teller.clone(), tell::asked_address(&stream, teller.original));
            dns::dns_tcp::serve(stream, move |question| {
                if !udp::may_answer(&rates, source) {
                    counts.dns_over_pace.one();
                    return None;
                }
                let Some(answer) = dns::answer(question, zone()) else {
                    counts.dns_ignored.one();
                    return None;
                };
                counts.dns_answered.one();
                // Frames of connections to the gateway are not looked into, so the name would be missed.
                if let Some(name) = dns::name_asked(question) {
                    teller.tell(source, asked, Protocol::Dns, Some(name), Verdict::Answered);
                }
                Some(answer)
            })
        });
    tokio::join!(by_udp, by_tcp);
}

async fn serve_ntp(udp: UdpSocket, watched: &Watched, counts: &Counts) {
    let each = Pace { per_second: limits::NTP_PER_SECOND, burst: 4 * limits::NTP_PER_SECOND };
    let all = limits::NTP_PER_SECOND_IN_ALL;
    let rates = Mutex::new(Rates::new(each, Pace { per_second: all, burst: all }, now()));
    let tally = udp::Tally {
        answered: &counts.ntp_answered,
        over_pace: &counts.ntp_over_pace,
        ignored: &counts.ntp_ignored,
    };
    udp::serve(udp, &rates, tally, watched.part("ntp"), |datagram| {
        ntp::answer(datagram, SystemTime::now()).map(Vec::from)
    })
    .await;
}

async fn serve_sink<N, M>(
    tcp: TcpListener,
    watched: &Watched,
    counts: &Arc<Counts>,
    teller: &Teller<N, M>,
) where
    N: Fn(Sighting) + Clone + Send + Sync + 'static,
    M: Fn(IpAddr) -> Option<MacAddr> + Clone + Send + Sync + 'static,
{
    let places = Places::new(limits::SINK_CONNECTIONS, limits::SINK_CONNECTIONS_PER_SOURCE);
    tcp::serve(tcp, places, Arc::clone(counts), watched.part("sink"), |stream, source| {
        sink::serve(stream, source, Arc::clone(counts), teller.clone())
    })
    .await;
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

#[cfg(test)]
mod tests;
