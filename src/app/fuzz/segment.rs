//! What the segment's local services read of cameras.

use std::net::Ipv4Addr;
use std::time::{Duration, UNIX_EPOCH};

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::RData;

use super::Input;
use crate::ops::limits;
use crate::segment::service::local::recognise::{Recognition, recognise};
use crate::segment::service::local::{dns, ntp};
use crate::segment::{DnsPolicy, Protocol};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// A byte for the policy, then a DNS message: it has a whole answer with no more than our two addresses in it, no
/// longer than allowed, and whoever gets it does not answer again.
pub fn segment_dns(data: &[u8]) {
    let mut input = Input::new(data);
    let policy = if input.byte() & 1 == 0 { DnsPolicy::NxDomain } else { DnsPolicy::Sink };
    let zone = dns::Zone { gateway: GATEWAY, policy };
    let question = input.rest();
    if let Some(name) = dns::name_asked(question) {
        assert!(!name.as_str().is_empty() && name.as_str().len() <= limits::DEVICE_TEXT_BYTES);
    }
    let Some(bytes) = dns::answer(question, zone) else {
        assert!(question.len() < 12 || question[2] & 0x80 != 0, "only these get silence");
        return;
    };
    assert!(bytes.len() <= question.len() + limits::DNS_ANSWER_GROWTH);
    assert!(bytes.len() <= 512, "a UDP message");
    assert_eq!(bytes[..2], question[..2]);
    assert_eq!(dns::answer(&bytes, zone), None);
    let reply = Message::from_vec(&bytes).unwrap();
    assert_eq!(reply.message_type, MessageType::Response);
    assert!(!reply.recursion_available && !reply.truncation);
    assert!(reply.answers.len() + reply.authorities.len() <= 1);
    for record in &reply.answers {
        let RData::A(address) = &record.data else { panic!("{record:?}") };
        assert!(
            address.0 == GATEWAY || policy == DnsPolicy::Sink && address.0 == dns::SINK_ADDRESS
        );
    }
}

/// Eight bytes for the clock, then a datagram: the answer is no longer, echoes the client's time, and gets none.
pub fn segment_ntp(data: &[u8]) {
    let mut input = Input::new(data);
    let clock = u64::from_be_bytes([(); 8].map(|()| input.byte()));
    let now = UNIX_EPOCH + Duration::from_nanos(clock);
    let request = input.rest();
    let Some(answer) = ntp::answer(request, now) else { return };
    assert!(answer.len() <= request.len());
    assert_eq!(answer[24..32], request[40..48]);
    assert_eq!(answer[0] >> 3 & 7, request[0] >> 3 & 7, "the client's version");
    assert!(matches!(answer[0] & 7, 2 | 4));
    assert_eq!(ntp::answer(&answer, now), None, "two servers do not talk for ever");
    assert_eq!(answer[0] >> 6 == 3, answer[1] == 0, "without a clock there is no rank");
}

/// The first bytes of a connection: a bounded, printable name; and where rustls takes a ClientHello, the same
/// server and protocols as rustls reads.
pub fn segment_sink(data: &[u8]) {
    let found = recognise(data);
    if let Some(name) = &found.name {
        assert!(!name.as_str().is_empty() && name.as_str().len() <= limits::DEVICE_TEXT_BYTES);
        assert!(name.as_str().bytes().all(|b| matches!(b, b' '..=b'~')));
        assert!(found.is_done, "a name is the last thing to come");
    }
    if found.protocol == Protocol::Tcp {
        assert_eq!(found.name, None);
    }
    if let Some(read) = rustls_reads(data) {
        let wanted = Some(Protocol::Tls);
        assert_eq!(Some(found.protocol), wanted);
        compare(&found, &read);
    }
}

/// Server name, and protocols with blanks between them.
type Read = (Option<String>, Option<Vec<u8>>);

fn rustls_reads(mut data: &[u8]) -> Option<Read> {
    let mut acceptor = rustls::server::Acceptor::default();
    while !data.is_empty() {
        acceptor.read_tls(&mut data).ok()?;
        let Some(accepted) = acceptor.accept().ok()? else { continue };
        let hello = accepted.client_hello();
        let protocols = hello.alpn().map(|all| all.collect::<Vec<_>>().join(&b' '));
        return Some((hello.server_name().map(str::to_owned), protocols));
    }
    None
}

fn compare(found: &Recognition, (server, protocols): &Read) {
    let name = found.name.as_ref().map_or("", |name| name.as_str());
    if let Some(server) = server {
        assert!(name == server || name.starts_with(&format!("{server} (")), "{name} {server}");
    }
    if let Some(protocols) = protocols.as_ref().filter(|all| !all.is_empty()) {
        let protocols = crate::segment::DeviceText::new(protocols);
        // Cut where both together are too long.
        let whole = name.ends_with(&format!("({})", protocols.as_str()));
        assert!(whole || name.ends_with('~'), "{name} {protocols}");
    }
}
