#!/usr/bin/env python3
"""Writes the first inputs of each target into fuzz/corpus, from the repository's own fixtures.

What a fuzzer found beyond them is added by `fuzz/run merge`; nothing here is taken from a camera.
"""
import base64
import pathlib
import struct

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent
MEDIA = ROOT / "tests/fixtures/media"

SPS, PPS = "Z0LACtoR7ARAAAADAEAAAAyDxImo", "aM4PyA=="
SDP = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=cam\r\nt=0 0\r\na=control:*\r\na=range:npt=now-\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    f"a=fmtp:96 packetization-mode=1;profile-level-id=42C00A;sprop-parameter-sets={SPS},{PPS}\r\n"
    "a=framerate:25.0\r\na=control:trackID=1\r\n"
    "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/16000/1\r\n"
    "a=fmtp:97 mode=AAC-hbr;config=1408;sizelength=13;indexlength=3;indexdeltalength=3\r\n"
    "a=control:trackID=2\r\na=sendrecv\r\n"
)
SDP_265 = (
    "v=0\r\nm=video 0 RTP/AVP 98\r\na=rtpmap:98 H265/90000\r\n"
    "a=fmtp:98 sprop-vps=QAEM;sprop-sps=QgEB;sprop-pps=RAE=\r\na=control:rtsp://192.0.2.7/live/track1\r\n"
    "m=audio 0 RTP/AVP 8\r\na=control:track2\r\nm=audio 0 RTP/AVP 0\r\na=sendonly\r\n"
    "m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\n"
)
DIGEST = 'Digest realm="cam", nonce="5f2a", algorithm=MD5, qop="auth"'


def write(target, inputs):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in inputs.items():
        data = data.encode() if isinstance(data, str) else data
        (folder / f"seed-{name}").write_bytes(data)


def message(start, *headers, body=""):
    length = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([start, *headers, *length, "", body])


def answer(status, *headers, body=""):
    return message(f"RTSP/1.0 {status} OK", *headers, body=body)


def frame(channel, payload):
    return struct.pack(">cBH", b"$", channel, len(payload)) + payload


def rtp(sequence, timestamp, payload, marker=True, first=0x80, kind=96):
    return struct.pack(">BBHII", first, kind | marker << 7, sequence, timestamp, 9) + payload


def sender_report():
    return struct.pack(">BBHIQIII", 0x80, 200, 6, 9, 1, 2, 3, 4)


def transport(first):
    return f"Transport: RTP/AVP/TCP;unicast;interleaved={first}-{first + 1};ssrc=00000009"


def opening(sdp, *first, tracks=2, play=("RTP-Info: url=trackID=1;seq=5;rtptime=7",)):
    setups = [answer(200, "Session: 77;timeout=30", transport(2 * i)) for i in range(tracks)]
    base = "Content-Base: rtsp://192.0.2.7:554/live/"
    return "".join([*first, answer(200, base, body=sdp), *setups, answer(200, *play)]).encode()


MEDIA_FRAMES = b"".join([
    frame(0, rtp(5, 7, b"\x18\0\2\x67a\0\2\x68b")),
    frame(0, rtp(6, 7, b"\x7c\x85abc", marker=False)),
    frame(0, rtp(7, 7, b"\x7c\x45def")),
    frame(1, sender_report()),
    frame(2, rtp(1, 1, b"\0\x10\0\x18abc", kind=97)),
    b"\r\n\r\n",
    frame(0, rtp(9, 99, b"\x41x", first=0xb1) + b"CSR1" + b"\xbe\xde\0\1EXT1" + b"y\1"),
    frame(1, sender_report() + b"\x81\xca\0\1\0\0\0\t"),
    frame(9, b"nobody"),
])


def airlock_response():
    unauthorized = answer(401, f"WWW-Authenticate: {DIGEST}", 'WWW-Authenticate: Basic realm="cam"')
    closing = answer(401, f"WWW-Authenticate: {DIGEST}", "Connection: close")
    stale = answer(401, f"WWW-Authenticate: {DIGEST}, stale=true")
    basic = answer(401, 'WWW-Authenticate: Basic realm="cam"')
    keep = answer(200, "Public: OPTIONS, GET_PARAMETER").encode()
    return {
        "plays": b"\0" + opening(SDP) + MEDIA_FRAMES,
        "h265": b"\x08" + opening(SDP_265, tracks=3, play=()) + b"\r\n" * 40 + keep,
        "digest": b"\x10" + opening(SDP, unauthorized) + MEDIA_FRAMES + b"\r\n" * 60 + keep,
        "closes": b"\x20" + opening(SDP, closing),
        "stale": b"\x30" + opening(SDP, unauthorized, stale),
        "basic": b"\x01" + opening(SDP, basic),
        "early": b"\x48" + opening(SDP)[:-60] + MEDIA_FRAMES + opening(SDP)[-60:],
        "asks": b"\0" + message("OPTIONS * RTSP/1.0", "CSeq: 1").encode() + opening(SDP),
        "moved": b"\0" + answer(302, "Location: rtsp://192.0.2.8/").encode(),
        "silent": b"\0" + opening(SDP) + b"\r\n" * 200,
        "numbered": b"\0" + opening(SDP).replace(b"Session", b"CSeq: 2\r\nSession", 1),
    }


def rtsp_message():
    request = message("SETUP rtsp://192.0.2.7/a?b=c/trackID=1 RTSP/1.0", "CSeq: 3", transport(0),
                      "Session: 12345678;timeout=60", "User-Agent: x\r\n  y")
    play = answer(200, "CSeq: 4", "RTP-Info: url=rtsp://a/b,c;d;seq=1;rtptime=2,url=x;seq=3",
                  "Range: npt=now-")
    return {
        "request": "\x05" + request,
        "described": "\x40" + answer(200, "CSeq: 2", "Content-Type: application/sdp", body=SDP),
        "play": "\x01" + play,
        "lf": "\x03" + play.replace("\r\n", "\n"),
        "many": b"\x07" + (request + play).encode() + MEDIA_FRAMES + request.encode(),
        "transports": "\0" + answer(
            200, 'Transport: RTP/AVP;unicast;client_port=4-5;mode="PLAY",RTP/SAVP/TCP;interleaved=0',
            "Transport: RTP/AVP;multicast;ssrc=0xABCDE", "Transport: RTP/AVP/TCP;mode=record"),
        "not": "\x02GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    }


def sdp():
    control = "a=control:rtsp://192.0.2.7:554/Streaming/trackID=1?profile=1"
    return {
        "two": SDP,
        "h265": SDP_265,
        "tabs": SDP.replace(" ", "\t").replace("\r\n", "\n"),
        "absolute": SDP.replace("a=control:trackID=1", control),
        "static": "".join(f"m=audio 0 RTP/AVP {n}\r\n" for n in (0, 3, 8, 10, 14, 26)),
        "nine": "m=video 0 RTP/AVP 96\n" * 9,
    }


def piece(data):
    return struct.pack(">H", len(data)) + data


def annexb_units(name, kind_of):
    """The access units of a stream that has a delimiter before each."""
    stream = (MEDIA / name).read_bytes()
    nals = [nal.rstrip(b"\0") for nal in stream.split(b"\0\0\1") if nal.strip(b"\0")]
    units = []
    for nal in nals:
        if kind_of(nal):
            units.append([])
        units[-1].append(nal)
    return units


def nal_policy():
    lines = (MEDIA / "parameter_sets.txt").read_text().splitlines()
    sets = [[base64.b64decode(s) for s in line.split()[-1].split(",")] for line in lines]
    inputs = {}
    for name, is_delimiter, is_set in [
        ("two_slices.h264", lambda nal: nal[0] & 31 == 9, lambda nal: nal[0] & 31 in (7, 8)),
        ("two_slices.h265", lambda nal: nal[0] >> 1 == 35, lambda nal: 32 <= nal[0] >> 1 <= 34),
    ]:
        units = annexb_units(name, is_delimiter)
        first = b"\xff" + piece(b"\0\0\1".join(nal for nal in units[0] if is_set(nal)))
        for number, unit in enumerate(units[:2]):
            cut = [nal[:400] for nal in unit]
            inputs[f"{name[-4:]}-{number}"] = first + piece(b"\1" + b"\0\0\1".join(cut))
            lengths = b"".join(struct.pack(">I", len(nal)) + nal for nal in cut)
            inputs[f"{name[-4:]}-{number}-raw"] = first + piece(b"\0" + lengths)
    for number, nals in enumerate(sets):
        beside = piece(b"\3" + b"\0\0\1".join(nals))
        slice_ = b"\x65\x88\x80\x1f" if len(nals) == 2 else b"\x26\1\xaf\x09\x80"
        unit = piece(b"\1" + b"\0\0\1".join([*nals, slice_, b"\6\5\1\7\x80"]))
        inputs[f"sets-{number:02}"] = bytes([number]) + beside + unit
    return inputs


def aac():
    inputs = {"explicit": b"\5\x17\x80\x56\x22\x08" + piece(b"\0" * 9), "sbr": b"\4\x2b\x11\x88\0"}
    for path in sorted(MEDIA.glob("*.aac")):
        data, frames = path.read_bytes(), []
        while len(data) >= 7:
            length = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
            frames.append(data[7:length])
            rate, channels = data[2] >> 2 & 15, (data[2] & 1) << 2 | data[3] >> 6
            data = data[length:]
        config = bytes([2 << 3 | rate >> 1, (rate << 7 | channels << 3) & 255])
        inputs[path.stem] = b"\2" + config + b"".join(piece(f) for f in frames[1:4])
    return inputs


def config():
    inputs = {path.stem: path.read_bytes() for path in (ROOT / "tests/config/invalid").glob("*.toml")}
    sample = (ROOT / "config/camlock.toml").read_text()
    inputs["sample"] = "\n".join(line for line in sample.splitlines() if line and line[0] != "#")
    inputs["all"] = "\n".join(
        line.removeprefix("# ") for line in sample.splitlines()
        if " = " in line or line.removeprefix("# ").startswith("["))
    inputs["camera"] = (
        '[gateway]\nnames = ["g"]\n[admin]\ntoken = "env:PW"\n[[camera]]\nname = "door"\n'
        'address = "192.0.2.10:554"\nuser = "u"\npassword = "file:/run/pw"\nbasic = "allow"\n'
        '[[camera.profile]]\nname = "main"\npath = "/1?a=b"\nstart = "on-demand"\nlinger = "2min"\n'
        '[[user]]\nname = "vms"\nsecret = "env:PW"\n[[user.grant]]\nstreams = "door/*"\n'
        'may = ["view"]\n')
    return inputs


def server():
    def ask(method, uri, *headers, who="ann"):
        return message(f"{method} {uri} RTSP/1.0", "CSeq: 1", f"Authorization: {who}", *headers)

    url = "rtsps://g/door/main"
    session = "Session: " + "01" * 16
    tcp = "Transport: RTP/AVP/TCP;unicast"
    plays = "".join([
        ask("OPTIONS", "*"), ask("DESCRIBE", url, "Accept: application/sdp"),
        ask("SETUP", f"{url}/trackID=0", tcp + ";interleaved=0-1")])
    # DESCRIBE takes the first number.
    second = session.replace("01", "02")
    return {
        "plays": plays + ask("SETUP", f"{url}/trackID=1", tcp, second) + ask("PLAY", url, second)
        + ask("GET_PARAMETER", url, second) + ask("PAUSE", url, second) + ask("TEARDOWN", url, second),
        "expires": ask("SETUP", f"{url}/trackID=0", tcp) + "\r\n" * 20 + ask("PLAY", url, session),
        "bob": ask("SETUP", f"{url}/trackID=0", tcp) + ask("PLAY", url, session, who="bob"),
        "stale": plays + ask("PLAY", url, second) + ask("GET_PARAMETER", url, second, who="old"),
        "reports": (plays + ask("PLAY", url, second)).encode() + frame(1, sender_report()) * 3,
        "requires": ask("DESCRIBE", url, "Require: www.onvif.org/ver20/backchannel")
        + ask("PLAY", url, "Range: npt=7-") + ask("ANNOUNCE", url) + ask("DESCRIBE", "gopher://g/")
        + ask("SET_PARAMETER", url, session) + ask("DESCRIBE", "rtsps://g/attic/slow", who="bob"),
        "five": ask("SETUP", f"{url}/trackID=0", tcp) * 5,
    }


def digest():
    basic = base64.b64encode(b"viewer:secret").decode()
    return {
        "md5": DIGEST,
        "both": f'{DIGEST}\nBasic realm="cam"\nDigest realm="cam", nonce="x", algorithm=SHA-256',
        "session": 'Digest realm="r", nonce="n", opaque="o", algorithm=MD5-sess, qop="auth,auth-int", stale=true',
        "one": 'Basic realm="a", Digest realm="r" nonce="n" qop=auth',
        "basic": f"Basic {basic}",
        "answer": 'Digest username="u", realm="r", nonce="n", uri="rtsp://a/b", '
        f'response="{"0" * 32}", algorithm=MD5, qop=auth, nc=00000001, cnonce="c"',
        "plain": f'Digest username="u",realm="realm",nonce="n",uri="*",response="{"f" * 64}",algorithm=SHA-256',
    }


def interleaved():
    def packet(channel, payload, marker=1, step=1, time=0, kind=None):
        kind = marker if kind is None else kind
        return bytes([len(payload), channel | kind << 4, step & 255, time & 255]) + payload

    h264 = [packet(0, b"\x18\0\2\x67a\0\2\x68b", 0), packet(0, b"\x7c\x85abc", 0),
            packet(0, b"\x7c\5d", 0), packet(0, b"\x7c\x45e"), packet(0, b"\x65i", time=9),
            packet(0, b"\x41p", step=3, time=9), packet(0, b"\x41old", step=-2)]
    h265 = [packet(2, b"\x60\1\0\3\x42\1a\0\3\x44\1b", 0), packet(2, b"\x62\1\x93abc", 0),
            packet(2, b"\x62\1\x53end"), packet(2, b"\x26\1idr", time=9), packet(2, b"\x02\1p")]
    sound = [packet(4, b"\0\x10\0\x18abc"), packet(4, b"\0\x20\0\x10\0\x08abc", time=9),
             packet(4, b"\0\x10\0\x28ab", 0, time=9), packet(4, b"\0\x10\0\x28cde"), packet(6, b"pcm")]
    report = packet(1, sender_report(), kind=2)
    wait = packet(0, b"", kind=3, time=3)
    return {
        "h264": b"\1" + b"".join(h264),
        "h265": b"\x15" + b"".join(h265),
        "sound": b"\x21" + b"".join(sound) + report + wait,
        "all": b"\x07" + b"".join([*h264, wait, *h265, report, wait, *sound]),
        "raw": b"\0" + MEDIA_FRAMES,
        "raw-cut": b"\x0a" + MEDIA_FRAMES * 2,
        "jpeg": b"\x0b" + b"".join([
            packet(0, b"\0\0\0\0\1\xff\x08\6\0\0\0\x80" + b"\x09" * 128 + b"coded", 0),
            packet(0, b"\0\0\0\5\1\xff\x08\6more"), packet(0, b"\0\0\0\0\x41\x32\x08\6\0\4\xff\xffx", time=9),
            packet(0, b"\0\0\0\7\1\xff\x08\6hole", time=9), packet(2, b"\0\1" * 9), packet(4, b"adpcm"), wait]),
        "waits": b"\1" + h264[4] + wait * 30 + h264[5],
    }


def depacketise():
    def packet(payload, marker=1, lost=0, step=0):
        return bytes([len(payload), marker | lost << 1, step & 255]) + payload

    sps, pps = base64.b64decode(SPS), base64.b64decode(PPS)
    sets = b"\x18" + b"".join(struct.pack(">H", len(nal)) + nal for nal in (sps, pps, b"\x06sei"))
    h264 = [packet(sets, 0), packet(b"\x7c\x85abc", 0), packet(b"\x7c\5d", 0), packet(b"\x7c\x45e"),
            packet(b"\x41a\0\0\1\x41b\0\0", step=9), packet(b"\x41p", 0, step=9), packet(b"\x41q", 0, step=9),
            packet(b"\x06s", step=9), packet(b"\x7c\x81x", 0, step=9), packet(b"\x7c\x41y", lost=1),
            packet(b"\x18\0\2\x67\xff\0\2\x68\xff\0\2\x65a", step=9), packet(b"\x41r", step=9)]
    h265 = [packet(b"\x60\1\0\3\x42\1a\0\3\x44\1b", 0), packet(b"\x62\1\x93abc", 0),
            packet(b"\x62\1\x53end"), packet(b"\x02\1p", step=9), packet(b"\x62\1\x93x", 0, step=9),
            packet(b"\x02\1q", lost=1, step=9), packet(b"\x26\1", step=9)]
    jpeg = [packet(b"\0\0\0\0\1\x32\x08\6first", 0), packet(b"\0\0\0\5\1\x32\x08\6last"),
            packet(b"\0\0\0\0\x41\x32\x0a\6\0\4\xff\xffx", step=9), packet(b"\0\0\0\0\1\x32\x08\6", step=9)]
    aac = [packet(b"\0\x10\0\x18abc"), packet(b"\0\x20\0\x10\0\x08abc", step=9),
           packet(b"\0\x10\0\x30abc", 0, step=9), packet(b"\0\x10\0\x30def"), packet(b"\0\x10\0\x30abc", 0, step=9),
           packet(b"\0\x10\0\x18new", lost=1, step=9)]
    big = [packet(b"\x7c\x85" + b"a" * 200, 0), packet(b"\x7c\5" + b"b" * 200, 0), packet(b"\x41c", step=9)]
    samples = [packet(b"samples of"), packet(b"12 or 24 oct", step=9), packet(b"odd", step=9)]
    return {
        "h264": b"\0" + b"".join(h264), "h265": b"\1" + b"".join(h265), "jpeg": b"\2" + b"".join(jpeg),
        "aac": b"\3" + b"".join(aac), "over": b"\x08" + b"".join(big),
        **{f"samples-{n}": bytes([n]) + b"".join(samples) for n in (4, 5, 6, 7)},
    }


def jpeg():
    pictures = {path.stem: path.read_bytes() for path in sorted(MEDIA.glob("jpeg_*.jpg"))}
    inputs = {name: b"\x08\x06" + piece(picture) for name, picture in pictures.items()}
    comment = pictures["jpeg_420"].replace(b"\xff\xdb", b"\xff\xfe\0\6MARK\xff\xdb", 1) + b"trailing"
    return inputs | {"comment": b"\x08\x06" + piece(comment), "other-size": b"\x10\x06" + piece(comment)}


def tunnel():
    cookie = "x-sessioncookie: 0123456789abcdef\r\n"
    text = base64.b64encode(message("OPTIONS * RTSP/1.0", "CSeq: 1").encode()).decode()
    socket = (
        "\x03GET /rtspoverwebsocket HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: rtsp.onvif.org\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n").encode()

    def frame_of(first, payload):
        """A client's: with a mask, here of nothing."""
        length = bytes([0x80 | len(payload)]) if len(payload) < 126 else struct.pack(">BH", 0xFE, len(payload))
        return bytes([first]) + length + b"\0\0\0\0" + payload

    post = f"POST /door/main HTTP/1.0\r\n{cookie}Content-Length: 32767\r\n\r\n"
    return {
        "get": f"\x05GET /door/main HTTP/1.1\r\n{cookie}Accept: application/x-rtsp-tunnelled\r\n\r\n",
        "post": "\x07" + post + text + "\r\n" + text,
        "lines": "\x03" + post + "T1BU\r\nSU9O Uw==QQ==QUI=QUJD",
        "bits": "\x01" + post + "QR==",
        "chunked": f"\x40POST / HTTP/1.1\r\n{cookie}Transfer-Encoding: chunked\r\n\r\n",
        "page": f"\x02GET / HTTP/1.1\r\n{cookie}Origin: https://page.example\r\n\r\n",
        "rtsp": "\x01GET_PARAMETER * RTSP/1.0\r\n\r\n",
        "websocket": socket + frame_of(0x82, b"OPTIONS * RTSP/1.0\r\n") + frame_of(0x89, b"ping") + frame_of(0x88, b""),
        "fragments": socket + frame_of(2, b"OPT") + frame_of(0x8A, b"") + frame_of(0, b"IO") + frame_of(0x80, b"NS"),
        "middle": socket + frame_of(0x82, b"x" * 200) + frame_of(0x82, b"") + frame_of(0x81, b"text"),
    }


def segment_dns():
    def question(name, kind=1, flags=0x0100, count=1, more=b"", additional=0, group=1):
        labels = b"".join(bytes([len(label)]) + label for label in name.encode().split(b".") if label)
        header = struct.pack(">HHHHHH", 0x1234, flags, count, 0, 0, additional)
        return header + labels + b"\0" + struct.pack(">HH", kind, group) + more

    edns = b"\0" + struct.pack(">HHIH", 41, 1232, 0, 12) + struct.pack(">HH8s", 10, 8, b"cookie..")
    tunnel = ".".join(["a" * 63] * 3 + ["b" * 61])
    return {
        "cloud": b"\0" + question("alarm.ezviz7.com"),
        "sink": b"\1" + question("alarm.ezviz7.com"),
        "ipv6": b"\1" + question("alarm.ezviz7.com", 28),
        "time": b"\0" + question("0.pool.NTP.org"),
        "gateway": b"\0" + question("gateway.camlock.internal", 255),
        "edns": b"\0" + question("a.example", more=edns, additional=1),
        "version": b"\0" + question("a.example", more=edns[:6] + b"\1" + edns[7:], additional=1),
        "longest": b"\1" + question(tunnel, 16),
        "pointer": b"\1" + question("a")[:-6] + b"\xc0\0\0\1\0\1",
        "loop": b"\1" + question("a")[:-5] + b"\xc0\x0c\0\1\0\1",
        "two": b"\1" + question("a", count=2, more=b"\1b\0\0\1\0\1"),
        "transfer": b"\1" + question("a", 252),
        "chaos": b"\1" + question("version.bind", 16, group=3),
        "update": b"\1" + question("a", flags=0x2800),
        "answer": b"\1" + question("a", flags=0x8180),
        "short": b"\1" + question("a")[:11],
    }


def segment_ntp():
    clock = struct.pack(">Q", 1_796_000_000 * 10**9 + 5)
    packet = bytes([0x23, 0, 6, 0xEC]) + bytes(36) + b"transmit"
    return {
        "client": clock + packet,
        "version-1": clock + b"\x0b" + packet[1:],
        "peer": clock + b"\xe1" + packet[1:],
        "signed": clock + packet + b"key.sixteen.bytes...",
        "no-clock": bytes(8) + packet,
        "management": clock + b"\x16\2\0\1" + bytes(44),
        "monlist": clock + b"\x17\0\3\x2a" + bytes(44),
        "answer": clock + b"\x24\1" + packet[2:],
        "cut": clock + packet[:47],
    }


def segment_sink():
    def u16(data):
        return struct.pack(">H", len(data)) + data

    def hello(*extensions, suites=b"\x13\1\0\x2f"):
        body = b"\3\3" + bytes(32) + b"\0" + u16(suites) + b"\1\0"
        body += u16(b"".join(struct.pack(">H", kind) + u16(data) for kind, data in extensions)) if extensions else b""
        return b"\1\0" + u16(body)

    def records(data, size=16384):
        return b"".join(b"\x16\3\1" + u16(data[at:at + size]) for at in range(0, len(data), size))

    server = (0, u16(b"\0" + u16(b"alarm.ezviz7.com")))
    address = (0, u16(b"\0" + u16(b"192.0.2.7")))
    protocols = (16, u16(b"\2h2\x08http/1.1"))
    signatures = (13, u16(b"\4\3\4\1"))
    login = u16(b"cam-1") + u16(b"serial") + u16(b"secret")
    will = b"\0" + u16(b"topic") + u16(b"gone")
    return {
        "tls": records(hello(server, protocols, signatures)),
        "tls-records": records(hello(server, protocols, signatures), 9),
        "tls-1.0": records(hello(server)),
        "tls-bare": records(hello()),
        "tls-address": records(hello(address, signatures)),
        "tls-cut": records(hello(server, protocols, signatures))[:60],
        "ssl-2": b"\x80\x2e\1\3\1\0\x15",
        "http": b"GET /a?token=1 HTTP/1.1\r\nHost: cloud.example:80\r\n\r\n",
        "proxy": b"CONNECT a.example:443 HTTP/1.1\r\n\r\n",
        "http-2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "rtsp": b"OPTIONS rtsp://u:p@cam.example:554/live RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        "ssh": b"SSH-2.0-dropbear_2019.78\r\n",
        "smtp": b"EHLO camera\r\n",
        "mqtt": b"\x10\x1f" + u16(b"MQTT") + b"\4\xc2\0\x3c" + login,
        "mqtt-3.1": b"\x10\x13" + u16(b"MQIsdp") + b"\3\2\0\x3c" + u16(b"cam-1"),
        "mqtt-5": b"\x10\x27" + u16(b"MQTT") + b"\5\x86\0\x3c\2\x21\0" + u16(b"c") + will + u16(b"user"),
        "dhip": b"\x20\0\0\0DHIP" + bytes(24),
        "xmeye": b"\xff\1\0\0" + bytes(16),
        "turn": b"\0\3\0\0\x21\x12\xa4\x42" + bytes(12),
        "noise": b"\xfe\xed",
    }


def segment_frame():
    gateway, door, everyone = bytes([2, 0, 0, 0, 0, 1]), bytes([2, 0, 0, 0, 0, 16]), b"\xff" * 6
    own, camera, out, group = (bytes(a) for a in ([10, 77, 0, 1], [10, 77, 0, 10], [9, 9, 9, 9], [239, 255, 255, 250]))

    def ethernet(kind, payload, to=gateway):
        return b"\0" + to + door + struct.pack(">H", kind) + payload

    def ipv4(protocol, payload, to=out, options=b"", fragment=0, source=camera):
        head = struct.pack(">BBHHHBBH", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), 1, fragment,
                           64, protocol, 0)
        return ethernet(0x0800, head + source + to + options + payload)

    def ipv6(following, payload):
        head = struct.pack(">IHBB", 6 << 28, len(payload), following, 255)
        ends = b"\xfe\x80" + bytes(13) + b"\1" + b"\xff\2" + bytes(13) + b"\1"
        return ethernet(0x86DD, head + ends + payload, bytes([0x33, 0x33, 0, 0, 0, 1]))

    def udp(port, payload, to=out, **more):
        return ipv4(17, struct.pack(">HHHH", 40000, port, 8 + len(payload), 0) + payload, to, **more)

    def tcp(port, to=out, source=40000, flags=2):
        return ipv4(6, struct.pack(">HHIIBBHHH", source, port, 1, 0, 0x50, flags, 1024, 0, 0), to)

    question = struct.pack(">HHHHHH", 7, 256, 1, 0, 0, 0) + b"\3dev\x09ezvizlife\3com\0\0\1\0\1"
    answer = struct.pack(">HHHHHH", 0, 0x8400, 0, 1, 0, 0) + b"\3cam\5local\0\0\1\0\1\0\0\0\1\0\4abcd"
    options = b"\x35\1\1\0\x0c\6camera\x3c\4acme\xff"
    stun = b"\0\1\0\x10\x21\x12\xa4\x42abcdefghijkl\x80\x22\0\3srv\0\0\6\0\3me!\0"
    soap = b"<e:Envelope><w:Action>http://x/Probe</w:Action><d:Types>dn:Camera</d:Types></e:Envelope>"
    arp = b"\0\1\x08\0\6\4\0\1" + door + camera + bytes(6) + own
    return {
        "dns": udp(53, question), "dns-own": udp(53, question, own), "pointer": udp(53, question[:12] + b"\xc0\x0c\0\1\0\1"),
        "mdns": udp(5353, answer, group), "ntp": udp(123, b"\x23" + bytes(47)), "stun": udp(31007, stun),
        "dhcp": udp(67, bytes(236) + b"\x63\x82\x53\x63" + options, b"\xff" * 4, source=bytes(4)),
        "ssdp": udp(1900, b"M-SEARCH * HTTP/1.1\r\nST: upnp:rootdevice\r\n\r\n", group), "ws": udp(3702, soap, group),
        "sadp": udp(37020, b"<Probe><Types>inquiry</Types></Probe>", group), "quic": udp(443, b"\xc3\0\0\0\1\x08" + bytes(40)),
        "netbios": udp(137, question[:12] + b"\x20FHFAEBEECACACACACACACACACACACAAA\0\0\x20\0\1"),
        "tls": tcp(443), "own": tcp(80, own), "tcp-dns": tcp(53), "dialled": tcp(50000, own, 554, 0x10), "fin": tcp(80, flags=1),
        "icmp": ipv4(1, b"\x08" + bytes(7)), "igmp": ipv4(2, b"\x16" + bytes(7)), "gre": ipv4(47, b"\0\0\x08\0"),
        "sctp": ipv4(132, struct.pack(">HH", 1, 5000)), "routed": udp(53, question, options=b"\1\x83\3\4"),
        "first": udp(53, question, fragment=0x2000), "later": ipv4(17, bytes(8), fragment=2), "cut": b"\6" + udp(53, question)[1:60],
        "lied": udp(9, b"x")[:40], "arp": ethernet(0x0806, arp, everyone), "sadp-raw": ethernet(0x8033, b"\x21\2\1", everyone),
        "lldp": ethernet(0x88CC, b"\2\7\4\2\0\0\0\0\x10\x0a\3cam\x0c\4acme\0\0", everyone), "llc": ethernet(38, b"BB\3", everyone),
        "tagged": b"\1" + udp(53, question)[1:], "rs": ipv6(58, b"\x85" + bytes(7)),
        "mld": ipv6(0, b"\x3a\0\5\2\0\0\1\0\x8f" + bytes(7)), "cut6": ipv6(60, b"\x3c\0\1\4\0\0\0\0\x11"), "fragment6": ipv6(44, b"\x11\0\0\x08\0\0\0\1" + bytes(8)),
        "no-dhcp": b"\x08" + udp(67, bytes(300), own)[1:],
    }


write("aac", aac())
write("airlock_response", airlock_response())
write("config", config())
write("digest", digest())
write("depacketise", depacketise())
write("interleaved", interleaved())
write("jpeg", jpeg())
write("nal_policy", nal_policy())
write("rtsp_message", rtsp_message())
write("rtsp_server_session", server())
write("sdp", sdp())
write("segment_dns", segment_dns())
write("segment_frame", segment_frame())
write("segment_ntp", segment_ntp())
write("segment_sink", segment_sink())
write("tunnel", tunnel())
