//! The segment's DNS (RFC 1035): every answer is ours, no question is asked on.
//!
//! | name | A | other types |
//! |---|---|---|
//! | own names, and names of time servers (see `names`) | the gateway's address | no data |
//! | any other, policy `nxdomain` | no such name | no such name |
//! | any other, policy `sink` | [`SINK_ADDRESS`] | no data |
//!
//! "No data" and "no such name" carry an SOA record of the root, so that resolvers keep them (RFC 2308).

pub(super) mod dns_tcp;
mod names;

use std::net::Ipv4Addr;

use hickory_proto::op::{
    Edns, Header, Message, MessageType, Metadata, OpCode, Query, ResponseCode,
};
use hickory_proto::rr::rdata::{A, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};

use crate::ops::limits;
use crate::segment::{DeviceText, DnsPolicy};

/// What foreign names resolve to by the policy `sink`: an address of a network that exists in documents only
/// (RFC 5737). It lies outside every segment, so cameras send to their router, which is us, and the redirection
/// takes the connection to the sink. The gateway's own address would not do: nothing is redirected there.
pub const SINK_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// How long an answer may be kept, in seconds. What a camera asks for never changes but by the operator's hand, who
/// waits no longer than this; a camera that keeps answers asks for 33 names 800 times a day, not 60,000.
const KEPT: u32 = 3600;
/// What we take over UDP, told by EDNS. No lawful question is longer.
const UDP_PAYLOAD: u16 = 512;
/// Bytes of a header.
const HEADER: usize = 12;

/// What the answers depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone {
    /// The gateway's own address.
    pub gateway: Ipv4Addr,
    /// What becomes of foreign names.
    pub policy: DnsPolicy,
}

/// The answer to one message, over UDP and TCP alike: at most [`limits::DNS_ANSWER_GROWTH`] bytes longer than the
/// question, so nothing can be amplified, and always short enough for UDP. `None`: silence, for what is itself an
/// answer or too short to have one. Never panics, whatever the bytes.
pub fn answer(question: &[u8], zone: Zone) -> Option<Vec<u8>> {
    let [id_high, id_low, flags, ..] = *question.get(..HEADER)? else { return None };
    // Two servers that answer each other's answers would never end.
    if flags & 0x80 != 0 {
        return None;
    }
    let id = u16::from_be_bytes([id_high, id_low]);
    let opcode = OpCode::from_u8(flags >> 3 & 0x0f);
    let read = (question.len() <= limits::DNS_QUESTION_BYTES).then(|| Message::from_vec(question));
    let reply = match read {
        Some(Ok(message)) => reply(&message, zone),
        Some(Err(_)) | None => Message::error_msg(id, opcode, ResponseCode::FormErr),
    };
    let most = question.len() + limits::DNS_ANSWER_GROWTH;
    match reply.to_vec() {
        Ok(bytes) if bytes.len() <= most => Some(bytes),
        // A name that points into the header is longer written out.
        Ok(_) | Err(_) => Message::error_msg(id, opcode, ResponseCode::FormErr).to_vec().ok(),
    }
}

/// The first name that a message asks for, in small letters and without the last dot, as the ledger writes names.
pub fn name_asked(question: &[u8]) -> Option<DeviceText> {
    let mut decoder = BinDecoder::new(question);
    let asks = Header::read(&mut decoder).ok()?.counts.queries > 0;
    let query = if asks { Query::read(&mut decoder).ok()? } else { return None };
    let labels: Vec<_> = query.name().iter().map(<[u8]>::to_ascii_lowercase).collect();
    Some(DeviceText::new(&labels.join(&b'.'))).filter(|name| !name.as_str().is_empty())
}

fn reply(question: &Message, zone: Zone) -> Message {
    let mut reply = Message::new(question.id, MessageType::Response, question.op_code);
    reply.metadata = Metadata::response_from_request(&question.metadata);
    reply.metadata.authoritative = true;
    reply.metadata.authentic_data = false;
    if let Some(edns) = &question.edns {
        let mut ours = Edns::new();
        ours.set_max_payload(UDP_PAYLOAD);
        reply.edns = Some(ours);
        // RFC 6891 6.1.3
        if edns.version() != 0 {
            reply.metadata.response_code = ResponseCode::BADVERS;
            return reply;
        }
    }
    if question.op_code != OpCode::Query {
        reply.metadata.response_code = ResponseCode::NotImp;
        return reply;
    }
    let [asked] = question.queries.as_slice() else {
        reply.metadata.response_code = ResponseCode::FormErr;
        return reply;
    };
    reply.queries = vec![asked.clone()];
    resolve(asked, zone, &mut reply);
    reply
}

fn resolve(asked: &Query, zone: Zone, reply: &mut Message) {
    // Nothing is told about other classes, and no zone is handed out.
    if !matches!(asked.query_class, DNSClass::IN | DNSClass::ANY)
        || matches!(asked.query_type, RecordType::AXFR | RecordType::IXFR)
    {
        reply.metadata.response_code = ResponseCode::Refused;
        return;
    }
    let address = if names::is_ours(&asked.name) {
        Some(zone.gateway)
    } else {
        match zone.policy {
            DnsPolicy::NxDomain => None,
            DnsPolicy::Sink => Some(SINK_ADDRESS),
        }
    };
    match address {
        Some(address) if matches!(asked.query_type, RecordType::A | RecordType::ANY) => {
            let data = RData::A(A(address));
            reply.answers = vec![Record::from_rdata(asked.name.clone(), KEPT, data)];
        }
        Some(_) => reply.authorities = vec![start_of_authority()],
        None => {
            reply.metadata.response_code = ResponseCode::NXDomain;
            reply.authorities = vec![start_of_authority()];
        }
    }
}

/// The root is ours, as the cameras see it. All its names are the root's, for that is one byte each.
fn start_of_authority() -> Record {
    let kept = i32::try_from(KEPT).unwrap_or(i32::MAX);
    let soa = SOA::new(Name::root(), Name::root(), 1, kept, kept, kept, KEPT);
    Record::from_rdata(Name::root(), KEPT, RData::SOA(soa))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

    fn zone(policy: DnsPolicy) -> Zone {
        Zone { gateway: GATEWAY, policy }
    }

    fn question(name: &str, kind: RecordType) -> Message {
        let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        message
    }

    /// The answer, read again; nothing is longer than it may be.
    fn ask(message: &Message, policy: DnsPolicy) -> Message {
        let bytes = message.to_vec().unwrap();
        let reply = answer(&bytes, zone(policy)).unwrap();
        assert!(reply.len() <= bytes.len() + limits::DNS_ANSWER_GROWTH, "{}", reply.len());
        let reply = Message::from_vec(&reply).unwrap();
        assert_eq!((reply.id, reply.message_type), (message.id, MessageType::Response));
        assert!(reply.authoritative && !reply.recursion_available && !reply.truncation);
        reply
    }

    fn addresses(reply: &Message) -> Vec<Ipv4Addr> {
        let address = |record: &Record| {
            let RData::A(A(address)) = record.data else { panic!("{record:?}") };
            address
        };
        reply.answers.iter().map(address).collect()
    }

    #[test]
    fn our_names_are_the_gateway_whatever_the_policy() {
        for policy in [DnsPolicy::NxDomain, DnsPolicy::Sink] {
            for name in ["gateway.camlock.internal.", "0.POOL.ntp.org.", "time.windows.com."] {
                let reply = ask(&question(name, RecordType::A), policy);
                assert_eq!(addresses(&reply), [GATEWAY], "{name}");
                assert_eq!(reply.answers[0].ttl, KEPT);
                // The question comes back letter by letter: some resolvers check it.
                assert_eq!(reply.queries[0].name.to_ascii(), name);
                let reply = ask(&question(name, RecordType::AAAA), policy);
                assert_eq!(reply.response_code, ResponseCode::NoError);
                assert!(reply.answers.is_empty());
                assert_eq!(reply.authorities[0].record_type(), RecordType::SOA);
            }
        }
    }

    #[test]
    fn foreign_names_do_not_exist_or_are_the_sink() {
        for kind in [RecordType::A, RecordType::AAAA, RecordType::TXT, RecordType::PTR] {
            let reply = ask(&question("alarm.ezviz7.com.", kind), DnsPolicy::NxDomain);
            assert_eq!(reply.response_code, ResponseCode::NXDomain, "{kind}");
            assert!(reply.answers.is_empty());
            assert_eq!(reply.authorities[0].ttl, KEPT);
        }
        let reply = ask(&question("alarm.ezviz7.com.", RecordType::A), DnsPolicy::Sink);
        assert_eq!(addresses(&reply), [SINK_ADDRESS]);
        let reply = ask(&question("alarm.ezviz7.com.", RecordType::ANY), DnsPolicy::Sink);
        assert_eq!(addresses(&reply), [SINK_ADDRESS]);
        let reply = ask(&question("alarm.ezviz7.com.", RecordType::AAAA), DnsPolicy::Sink);
        assert_eq!(
            (reply.response_code, reply.answers.len(), reply.authorities.len()),
            (ResponseCode::NoError, 0, 1)
        );
    }

    #[test]
    fn what_is_no_plain_question_is_refused_by_its_kind() {
        let mut message = question("a.example.", RecordType::A);
        message.metadata.op_code = OpCode::Status;
        assert_eq!(ask(&message, DnsPolicy::Sink).response_code, ResponseCode::NotImp);
        let mut message = question("a.example.", RecordType::A);
        message.queries[0].set_query_class(DNSClass::CH);
        assert_eq!(ask(&message, DnsPolicy::Sink).response_code, ResponseCode::Refused);
        let message = question("a.example.", RecordType::AXFR);
        assert_eq!(ask(&message, DnsPolicy::Sink).response_code, ResponseCode::Refused);
        let mut message = question("a.example.", RecordType::A);
        message.add_query(message.queries[0].clone());
        let reply = ask(&message, DnsPolicy::Sink);
        assert_eq!((reply.response_code, reply.queries.len()), (ResponseCode::FormErr, 0));
        let mut message = question("a.example.", RecordType::A);
        let mut edns = Edns::new();
        edns.set_version(1);
        message.edns = Some(edns);
        // The number has two names.
        let refused = u16::from(ask(&message, DnsPolicy::Sink).response_code);
        assert_eq!(refused, u16::from(ResponseCode::BADVERS));
        message.edns = Some(Edns::new());
        let reply = ask(&message, DnsPolicy::Sink);
        assert_eq!(reply.edns.as_ref().unwrap().max_payload(), UDP_PAYLOAD);
        assert_eq!(addresses(&reply), [SINK_ADDRESS]);
    }

    #[test]
    fn answers_and_scraps_get_silence_and_the_malformed_a_format_error() {
        let mut message = question("a.example.", RecordType::A);
        message.metadata.message_type = MessageType::Response;
        assert_eq!(answer(&message.to_vec().unwrap(), zone(DnsPolicy::Sink)), None);
        let whole = question("a.example.", RecordType::A).to_vec().unwrap();
        for cut in 0..HEADER {
            assert_eq!(answer(&whole[..cut], zone(DnsPolicy::Sink)), None, "{cut}");
        }
        for cut in HEADER..whole.len() {
            let reply = answer(&whole[..cut], zone(DnsPolicy::Sink)).unwrap();
            assert_eq!(reply.len(), HEADER, "{cut}");
            let reply = Message::from_vec(&reply).unwrap();
            assert_eq!((reply.id, reply.response_code), (0x1234, ResponseCode::FormErr));
        }
    }

    #[test]
    fn the_name_asked_is_the_ledger_s() {
        let asked = |message: &Message| name_asked(&message.to_vec().unwrap());
        let name = asked(&question("Alarm.EZVIZ7.com.", RecordType::A)).unwrap();
        assert_eq!(name.as_str(), "alarm.ezviz7.com");
        assert_eq!(asked(&question(".", RecordType::NS)), None);
        let mut none = question("a.example.", RecordType::A);
        none.queries.clear();
        assert_eq!(asked(&none), None);
        assert_eq!(name_asked(b"scrap"), None);
    }

    #[test]
    fn one_byte_too_long_is_malformed() {
        let mut bytes = question("a.example.", RecordType::A).to_vec().unwrap();
        bytes.resize(limits::DNS_QUESTION_BYTES, 0);
        let reply = Message::from_vec(&answer(&bytes, zone(DnsPolicy::Sink)).unwrap()).unwrap();
        assert_eq!(reply.response_code, ResponseCode::NoError);
        bytes.push(0);
        let reply = Message::from_vec(&answer(&bytes, zone(DnsPolicy::Sink)).unwrap()).unwrap();
        assert_eq!(reply.response_code, ResponseCode::FormErr);
    }

    #[test]
    fn the_longest_name_is_answered_in_a_udp_message() {
        let label = "a".repeat(63);
        let name = format!("{label}.{label}.{label}.{}.", "a".repeat(61));
        for (kind, policy) in
            [(RecordType::A, DnsPolicy::Sink), (RecordType::TXT, DnsPolicy::NxDomain)]
        {
            let mut message = question(&name, kind);
            message.edns = Some(Edns::new());
            let bytes = message.to_vec().unwrap();
            let reply = answer(&bytes, zone(policy)).unwrap();
            assert!(reply.len() < 512, "{}", reply.len());
        }
    }
}
