//! What real cameras say, with the marker in it.

use crate::ops::hex;

/// A question for the IPv4 address of a name (RFC 1035 4.1).
pub(super) fn dns_question(name: &str) -> Vec<u8> {
    let mut question = vec![0xca, 0x9a, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        question.push(u8::try_from(label.len().min(63)).unwrap_or(63));
        question.extend(label.bytes().take(63));
    }
    question.extend([0, 0, 1, 0, 1]);
    question
}

/// The same as TCP carries it.
pub(super) fn dns_over_tcp(name: &str) -> Vec<u8> {
    let question = dns_question(name);
    let length = u16::try_from(question.len()).unwrap_or(0);
    [&length.to_be_bytes()[..], &question].concat()
}

/// Whether it is an answer to this question. Both may come with the length that TCP puts before them.
pub(super) fn is_dns_answer(answer: &[u8], asked: &[u8]) -> bool {
    let bare = |message: &[u8]| match message {
        [high, low, rest @ ..] if usize::from(u16::from_be_bytes([*high, *low])) == rest.len() => {
            rest.to_vec()
        }
        whole => whole.to_vec(),
    };
    let (answer, asked) = (bare(answer), bare(asked));
    answer.len() >= asked.len()
        && answer.get(..2) == asked.get(..2)
        && answer.get(2).is_some_and(|flags| flags & 0x80 != 0)
        && answer.get(12..asked.len()) == asked.get(12..)
}

/// An NTP client's question (RFC 5905 7.3); its time is half the marker.
pub(super) fn ntp_question(marker: &[u8]) -> Vec<u8> {
    let mut question = vec![0x23];
    question.resize(40, 0);
    question.extend(marker.iter().take(8));
    question.resize(48, 0);
    question
}

/// Whether it is a server's answer to this question.
pub(super) fn is_time(answer: &[u8], asked: &[u8]) -> bool {
    answer.len() >= 48
        && answer.first().is_some_and(|flags| flags & 7 == 4)
        && answer.get(24..32) == asked.get(40..48)
}

/// A STUN binding request (RFC 8489 5) with the marker as the software's name.
pub(super) fn stun(mark: &[u8]) -> Vec<u8> {
    let mut software = mark.to_vec();
    let length = u16::try_from(software.len()).unwrap_or(0);
    software.resize(software.len().next_multiple_of(4), 0);
    let bytes = u16::try_from(software.len() + 4).unwrap_or(0);
    let head = [&[0, 1][..], &bytes.to_be_bytes(), &[0x21, 0x12, 0xa4, 0x42], &[0xca; 12]].concat();
    [&head[..], &[0x80, 0x22], &length.to_be_bytes(), &software].concat()
}

/// A TLS 1.2 ClientHello (RFC 5246 7.4.1.2) for this server name, the marker in its random bytes.
pub(super) fn client_hello(name: &str, mark: &[u8]) -> Vec<u8> {
    let mut random = mark.to_vec();
    random.resize(32, 0xca);
    let sni = with_length(&[&[0][..], &with_length(name.as_bytes())].concat());
    // With ECDSA and RSA signatures (RFC 5246 7.4.1.4.1).
    let signatures = [0, 13, 0, 6, 0, 4, 4, 3, 4, 1];
    let extensions = [&[0, 0][..], &with_length(&sni), &signatures].concat();
    let hello = [
        &[3, 3][..],
        &random,
        &[0],
        &with_length(&[0xc0, 0x2b, 0xc0, 0x2f, 0x00, 0x9c]),
        &[1, 0],
        &with_length(&extensions),
    ]
    .concat();
    let message = [&[1, 0][..], &with_length(&hello)].concat();
    [&[22, 3, 1][..], &with_length(&message)].concat()
}

/// An HTTP request.
pub(super) fn http(host: &str, mark: &[u8]) -> Vec<u8> {
    format!("GET /{} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n", hex::encode(mark))
        .into_bytes()
}

/// An RTSP request.
pub(super) fn rtsp(host: &str, mark: &[u8]) -> Vec<u8> {
    format!("OPTIONS rtsp://{host}/{} RTSP/1.0\r\nCSeq: 1\r\n\r\n", hex::encode(mark)).into_bytes()
}

/// An MQTT 3.1.1 CONNECT with this client identifier.
pub(super) fn mqtt(client: &str) -> Vec<u8> {
    let body =
        [&with_length(b"MQTT")[..], &[4, 2, 0, 60], &with_length(client.as_bytes())].concat();
    [&[0x10, u8::try_from(body.len()).unwrap_or(0)][..], &body].concat()
}

/// A search for devices (UPnP 1.1, 1.3.2).
pub(super) fn ssdp(mark: &[u8]) -> Vec<u8> {
    format!(
        "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: ssdp:all\r\n\
         USER-AGENT: {}\r\n\r\n",
        hex::encode(mark)
    )
    .into_bytes()
}

/// A probe for devices (WS-Discovery 1.1, 5.2).
pub(super) fn ws_discovery(mark: &[u8]) -> Vec<u8> {
    format!(
        "<?xml version=\"1.0\"?><e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:w=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
         xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\"><e:Header><w:MessageID>{}</w:MessageID>\
         <w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>\
         <e:Body><d:Probe/></e:Body></e:Envelope>",
        hex::encode(mark)
    )
    .into_bytes()
}

/// What Hikvision's SADP sends to find its kind.
pub(super) fn sadp(mark: &[u8]) -> Vec<u8> {
    format!(
        "<?xml version=\"1.0\"?><Probe><Uuid>{}</Uuid><Types>inquiry</Types></Probe>",
        hex::encode(mark)
    )
    .into_bytes()
}

/// What Dahua's DHDiscover sends to find its kind: a head of 32 bytes, then JSON.
pub(super) fn dhdiscover(mark: &[u8]) -> Vec<u8> {
    let text = format!(
        "{{\"method\":\"DHDiscover.search\",\"params\":{{\"mac\":\"\",\"uni\":1,\"id\":\"{}\"}}}}",
        hex::encode(mark)
    );
    let length = u32::try_from(text.len()).unwrap_or(0).to_le_bytes();
    let mut head = vec![0x20, 0, 0, 0, b'D', b'H', b'I', b'P'];
    head.resize(16, 0);
    head.extend(length);
    head.resize(24, 0);
    head.extend(length);
    head.resize(32, 0);
    [&head[..], text.as_bytes()].concat()
}

/// What cameras of the XMEye kind send to be found: a head of 20 bytes.
pub(super) fn xmeye(mark: &[u8]) -> Vec<u8> {
    let mut head = vec![0xff];
    head.resize(14, 0);
    head.extend(1530_u16.to_le_bytes());
    head.extend(u32::try_from(mark.len()).unwrap_or(0).to_le_bytes());
    [&head[..], mark].concat()
}

/// A DHCP client's question for an address (RFC 2131), the marker in three of its options.
pub(super) fn dhcp(mac: [u8; 6], mark: &[u8]) -> Vec<u8> {
    let mut question = vec![1, 1, 6, 0, 0xca, 0x9a, 0, 1];
    question.resize(28, 0);
    question.extend(mac);
    question.resize(236, 0);
    question.extend([0x63, 0x82, 0x53, 0x63, 53, 1, 1]);
    for option in [60, 61, 43] {
        question.extend([option, u8::try_from(mark.len()).unwrap_or(0)]);
        question.extend(mark);
    }
    question.push(255);
    question.resize(300, 0);
    question
}

/// Two bytes of length, then the bytes.
fn with_length(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap_or(0).to_be_bytes()[..], bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_to_this_question() {
        let asked = dns_question("gateway.camlock.internal");
        let mut answer = asked.clone();
        answer[2] |= 0x80;
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 10, 77, 0, 1]);
        assert!(is_dns_answer(&answer, &asked));
        assert!(!is_dns_answer(&asked, &asked));
        assert!(!is_dns_answer(&answer, &dns_question("gateway.camlock.invalid.")));
        assert!(!is_dns_answer(&answer[..20], &asked));
        let tcp = with_length(&answer);
        assert!(is_dns_answer(&tcp, &dns_over_tcp("gateway.camlock.internal")));

        let asked = ntp_question(&[7; 16]);
        let mut answer = vec![0; 48];
        answer[0] = 0x24;
        answer[24..32].fill(7);
        assert!(is_time(&answer, &asked));
        assert!(!is_time(&answer, &ntp_question(&[8; 16])));
        assert!(!is_time(&answer[..47], &asked));
        assert!(!is_time(&asked, &asked));
    }

    #[test]
    fn rustls_takes_the_hello() {
        let mut hello = rustls::server::Acceptor::default();
        let bytes = client_hello("dns.example", &[7; 18]);
        hello.read_tls(&mut &bytes[..]).unwrap();
        let accepted = hello.accept().unwrap().expect("a whole hello");
        assert_eq!(accepted.client_hello().server_name(), Some("dns.example"));
        assert!(bytes.windows(18).any(|w| w == [7; 18]));
    }
}
