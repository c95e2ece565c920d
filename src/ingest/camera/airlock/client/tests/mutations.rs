//! Sessions with random damage: whatever comes, the client neither panics nor grows.

use super::*;

/// A small generator, so that a failing seed can be run again.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % below.max(1)
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.next(256)).unwrap()
    }
}

const WORDS: &[&str] = &[
    "m=",
    "\r\n",
    "a=control:",
    "a=fmtp:96 ",
    "Session:",
    ";timeout=",
    "Content-Length: ",
    "interleaved=",
    "255-256",
    "$\0",
    "*",
    "sprop-parameter-sets=",
    "4294967296",
    "RTP-Info: url=",
    "\0\0\x01",
    "65535",
    "WWW-Authenticate: Digest ",
    "nonce=\"",
    "CSeq: ",
    "RTSP/1.0 401 X\r\n",
    "Connection: close",
    "\u{ff}",
];

fn damage(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..random.next(4) {
        let at = random.next(bytes.len());
        match random.next(6) {
            0 => bytes.truncate(at),
            1 => bytes.splice(at..at, WORDS[random.next(WORDS.len())].bytes()).for_each(drop),
            2 => bytes.insert(at, random.byte()),
            3 if !bytes.is_empty() => bytes[at] = random.byte(),
            4 if !bytes.is_empty() => bytes[at] ^= 1 << random.next(8),
            5 => {
                let end = (at + random.next(40)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {}
        }
    }
}

fn random_media(random: &mut Random, sdp: &str) -> Vec<u8> {
    let lead: &[&[u8]] = if sdp.contains("H265") {
        &[
            b"\x26\x01",
            b"\x60\x01\0\x03\x26\x01a",
            b"\x62\x01\x93",
            b"\x62\x01\x13",
            b"\x62\x01\x53",
        ]
    } else if sdp.contains("mpeg4") {
        &[b"\0\x10\0\x18", b"\0\x20\0\x10\0\x08", b"\0\x10\x02\0", b"\0\x10\x7f\xf8"]
    } else {
        &[b"\x65", b"\x18\0\x02\x67a", b"\x7c\x85", b"\x7c\x05", b"\x7c\x45", b"\x41\0\0\x01\x41"]
    };
    let mut payload = lead[random.next(lead.len())].to_vec();
    payload.extend(
        (0..random.next(60)).map(|_| random.byte() & if random.next(3) == 0 { 0 } else { 0xff }),
    );
    let channel = u8::try_from(random.next(4)).unwrap();
    let sequence = u16::try_from(random.next(8)).unwrap();
    let timestamp = u32::try_from(random.next(3)).unwrap();
    let mut packet = media(channel, sequence, timestamp, &payload);
    if random.next(3) == 0 {
        let at = random.next(packet.len());
        packet[at] = random.byte();
    }
    packet
}

fn session(seed: u64) -> Result<(), EndReason> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let sdp = [
        SDP.to_owned(),
        SDP.replace("H264", "H265").replace("a=control:trackID=1", "a=fmtp:96 sprop-vps=QAEM\r\na=control:x"),
        "m=audio 0 RTP/AVP 98\r\na=rtpmap:98 mpeg4-generic/16000/1\r\na=fmtp:98 mode=AAC-hbr;config=1408;\
         sizelength=13;indexlength=3;indexdeltalength=3\r\n"
            .to_owned(),
    ];
    let sdp = &sdp[random.next(3)];
    let digest = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n";
    let mut bench = Bench::new();
    let mut steps = vec![
        (401, digest.to_owned(), String::new()),
        (200, format!("Content-Base: rtsp://a/\r\nContent-Length: {}\r\n", sdp.len()), sdp.clone()),
    ];
    let transport = |n| {
        format!(
            "Session: 5;timeout=60\r\nTransport: RTP/AVP/TCP;interleaved={n}-{};ssrc=9\r\n",
            n + 1
        )
    };
    steps.push((200, transport(0), String::new()));
    if sdp.contains("PCMA") {
        steps.push((200, transport(2), String::new()));
    }
    steps.push((200, "RTP-Info: url=trackID=1;seq=1;rtptime=2\r\n".into(), String::new()));
    let damaged = random.next(8);
    for (step, (status, headers, body)) in steps.into_iter().enumerate() {
        if random.next(4) == 0 {
            bench.says(&random_media(&mut random, sdp))?;
        }
        let cseq = bench.client.last_cseq;
        let mut bytes =
            format!("RTSP/1.0 {status} X\r\nCSeq: {cseq}\r\n{headers}\r\n{body}").into_bytes();
        if step == damaged {
            damage(&mut random, &mut bytes);
        }
        let cut = random.next(bytes.len());
        bench.says(&bytes[..cut])?;
        if bench.says(&bytes[cut..])? == Next::Redial {
            bench.buffer.clear();
            bench.client.redialled(bench.now);
        }
    }
    for _ in 0..80 {
        let mut bytes = random_media(&mut random, sdp);
        if random.next(100) == 0 {
            damage(&mut random, &mut bytes);
        }
        bench.says(&bytes)?;
        if random.next(4) == 0 {
            bench.wait(Duration::from_millis(100))?;
        }
        assert!(bench.hears().len() < 512 && bench.buffer.len() < 96 * 1024);
    }
    let _bytes = bench.client.teardown();
    Ok(())
}

#[test]
fn damaged_sessions_do_no_harm() {
    let mut ended = 0;
    for seed in 1..=6000 {
        ended += u32::from(session(seed).is_err());
    }
    // Both kinds are there, else the damage is too little or too much.
    assert!((500..5500).contains(&ended), "{ended} of 6000 ended early");
}
