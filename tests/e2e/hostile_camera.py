"""A camera that means harm: one mode a process, only standard library, only loopback.

    python3 hostile_camera.py MODE --port PORT --record FILE [--third HOST:PORT] [--marker TEXT]

Prints `listening PORT`. What the gateway sent is appended to FILE; FILE.events gets a JSON line for each step, with
the time of CLOCK_MONOTONIC: `connect`, `attack` (the first hostile byte, or the begin of the silence), `closed` (the
gateway ended it) or `done` (the camera did, after its bounded time).
"""
import argparse
import base64
import dataclasses
import gzip
import json
import pathlib
import random
import re
import select
import socket
import struct
import threading
import time

CLIPS = pathlib.Path(__file__).resolve().parents[2] / "src/simulator/clips"
UNIT_BYTES = 5 * 512 * 1024  # limits::ACCESS_UNIT_BYTES
SECONDS = 20  # no connection lives longer
ESCAPES = "\x1b[31mred\x1b]0;title\x07\x9b1m\x00\x7f<script>"


# ---- Media -------------------------------------------------------------------------------------


def pictures_of(name):
    """The pictures of a clip, each a list of NAL units; a key picture begins with its parameter sets."""
    data = (CLIPS / name).read_bytes()
    pictures, nals = [], []
    for nal in re.split(b"\0{2,3}\1", data)[1:]:
        nals.append(nal)
        if nal[0] & 31 in (1, 5):
            pictures.append(nals)
            nals = []
    return pictures


def rtp(seq, ts, payload, marker, ssrc=0x5EED, kind=96, csrc=b"", extension=b"", padding=b""):
    """An RTP packet; `padding` is followed by its count."""
    if padding:
        padding += bytes([len(padding) + 1])
    first = 0x80 | bool(padding) << 5 | bool(extension) << 4 | len(csrc) // 4
    head = struct.pack(">BBHII", first, kind | marker << 7, seq & 0xFFFF, ts & 0xFFFFFFFF, ssrc) + csrc
    if extension:
        extension += bytes(-len(extension) % 4)
        head += struct.pack(">HH", 0xBEDE, len(extension) // 4) + extension
    return head + payload + padding


def framed(channel, data):
    return struct.pack(">BBH", 36, channel, len(data)) + data


class Stream:
    """An H.264 track."""

    def __init__(self, channel=0, **dressing):
        self.seq, self.channel, self.dressing = 1, channel, dressing

    def packet(self, ts, payload, marker):
        data = rtp(self.seq, ts, payload, marker, **self.dressing)
        self.seq += 1
        return framed(self.channel, data)

    def fragments(self, nal, ts, size=1300, last=True, end=True):
        """One NAL unit, as FU-A if it is long."""
        if len(nal) <= size:
            yield self.packet(ts, nal, last)
            return
        indicator, body = nal[0] & 0x60 | 28, nal[1:]
        for at in range(0, len(body), size):
            final = at + size >= len(body)
            header = (at == 0) << 7 | (final and end) << 6 | nal[0] & 31
            yield self.packet(ts, bytes([indicator, header]) + body[at : at + size], final and end and last)

    def unit(self, nals, ts, size=1300):
        packets = []
        for number, nal in enumerate(nals):
            packets += self.fragments(nal, ts, size, last=number + 1 == len(nals))
        return b"".join(packets)


def rtcp(kind, count, body):
    body += bytes(-len(body) % 4)
    return struct.pack(">BBH", 0x80 | count, kind, len(body) // 4) + body


def sender_report(ts):
    ntp = int((time.time() + 2208988800) * 2**32)
    return rtcp(200, 0, struct.pack(">IQIII", 0x5EED, ntp, ts & 0xFFFFFFFF, 1, 1))


def sdes(text):
    item = bytes([1, len(text)]) + text
    return rtcp(202, 1, struct.pack(">I", 0x5EED) + item + b"\0")


def app(text):
    return rtcp(204, 0, struct.pack(">I", 0x5EED) + text[:4].ljust(4) + text)


def bye(text):
    return rtcp(203, 1, struct.pack(">I", 0x5EED) + bytes([len(text)]) + text)


def description(sets=None, session="", video="", name="camera", control="track1"):
    sets = sets or pictures_of("door.h264")[0][:2]
    sprop = ",".join(base64.b64encode(s).decode() for s in sets)
    return (
        f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns={name}\r\nt=0 0\r\n{session}m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
        f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sprop}\r\n{video}a=control:{control}\r\n"
    ).encode("latin-1")


# ---- Talking -----------------------------------------------------------------------------------


class Closed(Exception):
    """The gateway ended the connection."""


class Done(Exception):
    """The camera's bounded time is over."""


@dataclasses.dataclass
class Request:
    method: str
    uri: str
    headers: dict


class Talk:
    """One connection. Reads whatever comes in each wait, so that nothing the gateway says is missed."""

    def __init__(self, sock, record, say, options):
        self.socket, self.record, self.say = sock, record, say
        self.third, self.marker = options.third, options.marker
        self.buffer, self.deadline = b"", time.monotonic() + SECONDS
        self.extra = {}
        sock.setblocking(False)

    def attack(self):
        self.say("attack")

    def read(self, wait, writing=False):
        """Waits; takes what came. True: may write."""
        if time.monotonic() > self.deadline:
            raise Done
        readable, writable, _ = select.select([self.socket], [self.socket] if writing else [], [], max(wait, 0))
        if readable:
            try:
                data = self.socket.recv(65536)
            except OSError:
                raise Closed
            if not data:
                raise Closed
            self.record.write(data)
            self.record.flush()
            self.buffer += data
            if b"TEARDOWN " in self.buffer[-len(data) - 9 :]:
                self.say("teardown")
        return bool(writable)

    def send(self, data):
        view = memoryview(data if isinstance(data, bytes) else data.encode("latin-1"))
        while view:
            if self.read(1, writing=True):
                try:
                    view = view[self.socket.send(view[:65536]) :]
                except BlockingIOError:
                    pass
                except OSError:
                    raise Closed

    def pause(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.read(until - time.monotonic())

    def silence(self):
        self.attack()
        self.pause(SECONDS + 1)

    def flood(self, make):
        """Sends until the gateway ends it or the time is over."""
        self.attack()
        while True:
            self.send(make() if callable(make) else make)

    def drip(self, data):
        self.attack()
        for byte in data:
            self.send(bytes([byte]))
            self.pause(0.2)
        self.pause(SECONDS)

    def request(self):
        """The next request; interleaved data of the gateway's is passed over."""
        while True:
            while self.buffer[:1] == b"$" and len(self.buffer) >= 4:
                size = 4 + struct.unpack(">H", self.buffer[2:4])[0]
                if len(self.buffer) < size:
                    break
                self.buffer = self.buffer[size:]
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if found and head[:1] != b"$":
                self.buffer = rest
                first, *lines = head.decode("latin-1").split("\r\n")
                method, uri, _ = first.split(" ")
                pairs = (line.partition(":") for line in lines)
                return Request(method, uri, {name.lower(): value.strip() for name, _, value in pairs})
            self.read(1)

    def answer(self, request, status="200 OK", body=b"", cseq=None, **headers):
        """`Content_Base=` becomes Content-Base; a list gives several lines."""
        lines = [f"RTSP/1.0 {status}", f"CSeq: {request.headers['cseq'] if cseq is None else cseq}"]
        for name, values in {**self.extra, **headers}.items():
            values = values if isinstance(values, list) else [values]
            lines += [f"{name.replace('_', '-')}: {value}" for value in values]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    def plain(self, request, **changed):
        """What a sound camera says."""
        channels = re.search(r"interleaved=\d+-\d+", request.headers.get("transport", ""))
        headers = {
            "OPTIONS": {"Public": "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"},
            "DESCRIBE": {"Content_Type": "application/sdp", "body": description()},
            "SETUP": {"Transport": f"RTP/AVP/TCP;unicast;{channels and channels[0]}", "Session": "12345678;timeout=60"},
            "PLAY": {"Session": "12345678"},
        }.get(request.method, {"Session": "12345678"})
        self.answer(request, **{**headers, **changed})
        if request.method == "TEARDOWN":
            raise Done

    def until(self, method, **changed):
        """Answers as a sound camera does, up to and without `method`; changed: method -> headers."""
        while True:
            request = self.request()
            if request.method == method:
                return request
            self.plain(request, **changed.get(request.method, {}))

    def play(self, **changed):
        request = self.until("PLAY", **changed)
        self.plain(request, **changed.get("PLAY", {}))

    def serve(self):
        """Answers what came while media plays."""
        while b"\r\n\r\n" in self.buffer:
            self.plain(self.request())

    def show(self, seconds, stream=None, beside=lambda picture: b"", dress=lambda nals, n: nals, time_of=None, fps=25):
        """Plays the clip for a while, with `beside` after each picture."""
        stream, clip, begin = stream or Stream(), pictures_of("door.h264"), time.monotonic()
        for number in range(int(seconds * fps)):
            ts = time_of(number) if time_of else 1000 + number * 90000 // fps
            self.send(stream.unit(dress(clip[number % len(clip)], number), ts) + beside(number))
            self.serve()
            self.pause(begin + (number + 1) / fps - time.monotonic())


# ---- Modes -------------------------------------------------------------------------------------


@dataclasses.dataclass
class Mode:
    """`ends`: labels of `EndReason` or `Ending` that are right; `within`: the limit, s; None: it may go on.

    `basic`: the settings allow Basic.
    """

    run: object
    ends: tuple
    within: object
    basic: bool = False


MODES = {}


def mode(*ends, within=0, name=None, basic=False):
    def add(run):
        MODES[name or run.__name__] = Mode(run, ends, within, basic)
        return run

    return add


GRAMMAR = "grammar"


@mode(GRAMMAR)
def endless_header(t):
    t.until("DESCRIBE")
    t.send(b"RTSP/1.0 200 OK\r\nX-A: ")
    t.flood(b"A" * 65536)


@mode(GRAMMAR)
def endless_first_line(t):
    t.until("DESCRIBE")
    t.send(b"RTSP/1.0 200 ")
    t.flood(b"A" * 65536)


@mode(GRAMMAR)
def many_headers(t):
    cseq = t.until("DESCRIBE").headers["cseq"]
    head = f"RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n" + "".join(f"X-{n}: a\r\n" for n in range(100_000)) + "\r\n"
    t.attack()
    t.send(head)
    t.pause(SECONDS)


@mode(GRAMMAR)
def huge_body(t):
    cseq = t.until("DESCRIBE").headers["cseq"]
    t.send(f"RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Type: application/sdp\r\nContent-Length: 4000000000\r\n\r\n")
    t.flood(b"v" * 65536)


@mode(GRAMMAR, "description")
def many_media(t):
    body = description() + b"".join(b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:t%d\r\n" % n for n in range(200_000))
    request = t.until("DESCRIBE")
    t.attack()
    t.answer(request, Content_Type="application/sdp", body=body)
    t.pause(SECONDS)


@mode("description")
def nine_media(t):
    request = t.until("DESCRIBE")
    t.attack()
    t.answer(request, Content_Type="application/sdp", body=description() + b"m=audio 0 RTP/AVP 8\r\na=control:b\r\n" * 8)
    t.pause(SECONDS)


def key_nal():
    return pictures_of("door.h264")[0][2]


def paced(t, make, rate=20_000_000):
    """Below the rate of bytes, so that the bound behind it is the one that is met."""
    begin, sent = time.monotonic(), 0
    t.attack()
    while True:
        data = make()
        t.send(data)
        sent += len(data)
        t.pause(begin + sent / rate - time.monotonic())


@mode("unit_bytes", "byte_rate", "unacknowledged", "depacketiser", within=1)
def endless_unit(t):
    t.play()
    stream, first = Stream(), [True]

    def more():
        header = first[0] << 7 | 5
        first[0] = False
        return b"".join(stream.packet(1000, bytes([0x7C, header if n == 0 else 5]) + b"\x55" * 1300, False) for n in range(50))

    paced(t, more)


@mode("byte_rate", within=None)
def byte_rate(t):
    """Whole units, faster than any camera may: 75 MB at once, where 25 MB and as much a second are allowed."""
    sets, stream = pictures_of("door.h264")[0][:2], Stream()
    unit = [*sets, key_nal() + b"\x55" * 1_000_000]
    units = [stream.unit(unit, n * 3600, 1400) for n in range(75)]
    t.play()
    t.attack()
    begin = time.monotonic()
    for data in units:
        t.send(data)
    # A machine too slow to break the bound proves nothing.
    assert time.monotonic() - begin > 1.5, "75 MB were taken within 1.5 s"
    raise Done


@mode("unit_nals", "unit_packets")
def many_nals(t):
    t.play()
    stream, left = Stream(), [1_000_000]

    def more():
        if left[0] <= 0:
            t.pause(SECONDS)
        left[0] -= 20_000
        return b"".join(stream.packet(1000, b"\x18" + b"\0\2\x41\x9a" * 400, False) for _ in range(50))

    t.flood(more)


@mode("unit_packets", "unit_bytes", within=1)
def tiny_fragments(t):
    t.play()
    stream = Stream()
    t.send(stream.packet(1000, b"\x7c\x85\x88", False))
    t.flood(lambda: b"".join(stream.packet(1000, b"\x7c\x05\x55", False) for _ in range(200)))


@mode("unit_nals", "bad_packets", "depacketiser", "unit_bytes", "byte_rate", within=1)
def start_codes(t):
    t.play()
    stream = Stream()
    paced(t, lambda: b"".join(stream.packet(1000, b"\x41" + b"\0\0\1\x41" * 320, False) for _ in range(20)))


@mode("unacknowledged", "unit_rate", "no_first_unit", "depacketiser", within=10)
def lonely_sei(t):
    """Each access unit is an SEI: none is a picture."""
    t.play()
    stream, n = Stream(), [0]

    def unit():
        n[0] += 1
        return stream.packet(n[0] * 3600, b"\x06\x05" + b"\x55" * 1300, True)

    paced(t, unit, 400_000)


@mode("unacknowledged", "stalled", "byte_rate", within=5)
def pinned_fragment(t):
    """One track begins a picture and never ends it, the other plays at 10 MB/s."""
    second = description(control="track2")
    t.play(DESCRIBE={"body": description() + second[second.index(b"m=") :]})
    sets, first, other = pictures_of("door.h264")[0][:2], Stream(), Stream(channel=2, ssrc=0xBEEF)
    for n in range(3):
        t.send(first.unit([*sets, key_nal()], 1000 + n * 3600) + other.unit([*sets, key_nal()], 1000 + n * 3600))
        t.pause(0.04)
    t.send(first.packet(50_000, b"\x7c\x85" + b"\x88" * 100, False))
    n = [10]

    def unit():
        n[0] += 1
        return other.unit([*sets, key_nal() + b"\x55" * 400_000], n[0] * 3600, 1400)

    paced(t, unit, 10_000_000)


@mode(within=None)
def lawful_maximum(t):
    """Key pictures of 0.99 of the bound (which counts packet headers too), for 8 s at 20 MB/s and then one a second,
    60 s in all: nothing forbids them."""
    t.deadline += 60
    t.play()
    sets, stream = pictures_of("door.h264")[0][:2], Stream()
    big = key_nal() + b"\x55" * (UNIT_BYTES * 99 // 100 * 1400 // 1420 - len(key_nal()))
    t.attack()
    begin = time.monotonic()
    times = [n / 8 for n in range(1, 64)] + list(range(8, 61))
    for until in times:
        t.send(stream.unit([*sets, big], 1000 + int(until * 90000), 1400))
        t.serve()
        t.pause(begin + until - time.monotonic())
    raise Done


@mode("bad_packets", "depacketiser")
def random_rtp(t):
    t.play()
    t.flood(lambda: b"".join(framed(random.choice((0, 0, 0, 1)), random.randbytes(random.randrange(1, 1400))) for _ in range(50)))


@mode("bad_packets", "unit_bytes", "unit_nals", "depacketiser", "byte_rate", "unacknowledged", "unit_rate", "no_first_unit", "overhead", within=10)
def random_payloads(t):
    """Lawful headers, noise behind."""
    t.play()
    stream, n = Stream(), [0]

    def more():
        n[0] += 1
        return b"".join(stream.packet(n[0] * 3600, random.randbytes(random.randrange(2, 1400)), k == 7) for k in range(8))

    paced(t, more, 1_000_000)


@mode(GRAMMAR, "byte_rate", "no_answer", "slow_message")
def random_bytes_at_once(t):
    t.until("DESCRIBE")
    t.flood(lambda: random.randbytes(65536))


@mode(GRAMMAR, "byte_rate", "overhead", "bad_packets", "slow_message", within=5)
def random_bytes_in_play(t):
    t.play()
    t.show(0.4)
    t.flood(lambda: random.randbytes(65536))


def flip(t, fps, seconds):
    t.play()
    sizes = [pictures_of("door.h264")[0], pictures_of("yard-sub.h264")[0]]
    t.attack()
    t.show(seconds, dress=lambda _, n: sizes[n % 2], fps=fps)
    raise Done


@mode("format_changed", within=2)
def parameters_flip(t):
    flip(t, 25, 6)


@mode("format_changed", "unit_rate", within=2)
def parameters_flip_fast(t):
    flip(t, 2000, 6)


@mode(within=None)
def random_timestamps(t):
    t.play()
    t.attack()
    t.show(6, time_of=lambda n: random.getrandbits(32))
    raise Done


@mode("unit_rate", "byte_rate", "unacknowledged", within=6)
def random_timestamps_fast(t):
    t.play()
    stream, sets, slice_ = Stream(), pictures_of("door.h264")[0][:2], pictures_of("door.h264")[1][-1]
    t.send(stream.unit([*sets, key_nal()], 1))
    t.flood(lambda: b"".join(stream.unit([slice_], random.getrandbits(32)) for _ in range(50)))


for state, limit in (("DESCRIBE", 2), ("SETUP", 2), ("PLAY", 2)):

    @mode("slow_message", within=limit, name=f"drip_{state.lower()}")
    def drip(t, state=state):
        t.until(state)
        t.drip(b"RTSP/1.0 200 OK\r\nX-Slow: " + b"a" * 200)

    @mode("no_answer", within=5, name=f"silent_{state.lower()}")
    def silent(t, state=state):
        t.until(state)
        t.silence()


@mode("slow_message", "no_first_unit", within=10)
def drip_media(t):
    t.play()
    t.drip(framed(0, rtp(1, 1000, b"\x65" * 1000, True)))


@mode("no_first_unit", within=10)
def silent_after_play(t):
    t.play()
    t.silence()


@mode("stalled", within=5)
def silent_after_pictures(t):
    t.play()
    t.show(1)
    t.silence()


@mode("no_answer", within=5)
def silent_at_once(t):
    t.silence()


@mode("basic_refused")
def basic_only(t):
    request = t.until("DESCRIBE")
    t.attack()
    t.answer(request, "401 Unauthorized", WWW_Authenticate='Basic realm="camera"')
    t.pause(2)


@mode("basic_after_digest", "login_refused", basic=True)
def weaker_after_strong(t):
    """Basic is allowed in the settings of this one; the camera shows that it can do better first."""
    t.answer(t.request(), "401 Unauthorized", WWW_Authenticate='Digest realm="camera", nonce="n1", qop="auth", algorithm=SHA-256')
    request = t.until("SETUP")
    assert "SHA-256" in request.headers["authorization"]
    t.attack()
    t.answer(request, "401 Unauthorized", WWW_Authenticate='Basic realm="camera"')
    t.until("PLAY")


@mode("login_refused")
def refuses_for_ever(t):
    t.attack()
    while True:
        nonce = random.getrandbits(64)
        t.answer(t.request(), "401 Unauthorized", WWW_Authenticate=f'Digest realm="camera", nonce="{nonce}", stale=true')


@mode("redirected")
def redirect_302(t):
    request = t.until("DESCRIBE")
    t.attack()
    t.answer(request, "302 Moved", Location=f"rtsp://{t.third}/stream")
    t.pause(2)


@mode("redirected")
def redirect_301_in_setup(t):
    request = t.until("SETUP")
    t.attack()
    t.answer(request, "301 Moved", Location=f"rtsp://{t.third}/stream")
    t.pause(2)


def names_third(name, **changed):
    """A camera that plays, and names a third host in one place."""

    @mode(within=None, name=name)
    def run(t):
        t.attack()
        named = {method: {key: fill(value, t) for key, value in headers.items()} for method, headers in changed.items()}
        t.answer(t.request(), "401 Unauthorized", WWW_Authenticate='Digest realm="camera", nonce="n1", qop="auth"')
        t.play(**named)
        t.show(3)
        raise Done


def fill(value, t):
    if isinstance(value, bytes):
        return value.replace(b"THIRD", t.third.encode())
    host, port = t.third.split(":")
    return value.replace("THIRD_HOST", host).replace("THIRD_PORT", port).replace("THIRD", t.third)


names_third("third_content_base", DESCRIBE={"Content_Base": "rtsp://THIRD/"})
names_third("third_content_location", DESCRIBE={"Content_Location": "rtsp://THIRD/"})
names_third("third_location_in_200", DESCRIBE={"Location": "rtsp://THIRD/"}, SETUP={"Location": "rtsp://THIRD/"})
names_third("third_track_control", DESCRIBE={"body": description(control="rtsp://THIRD/track1")})
names_third("third_session_control", DESCRIBE={"body": description(session="a=control:rtsp://THIRD/all\r\nc=IN IP4 127.0.0.77\r\n")})
names_third("third_rtp_info", PLAY={"RTP_Info": "url=rtsp://THIRD/track1;seq=1;rtptime=1000"})
TCP = "RTP/AVP/TCP;unicast;interleaved=0-1;"
names_third("third_transport_source", SETUP={"Transport": TCP + "source=THIRD_HOST;server_port=THIRD_PORT-THIRD_PORT"})
names_third("third_transport_destination", SETUP={"Transport": TCP + "destination=THIRD_HOST;client_port=THIRD_PORT-THIRD_PORT"})


@mode("not_interleaved")
def third_udp(t):
    request = t.until("SETUP")
    host, port = t.third.split(":")
    t.attack()
    t.plain(request, Transport=f"RTP/AVP;unicast;client_port={port}-{port};server_port={port}-{port};source={host};destination={host}")
    t.pause(2)


def ask(method, t, n):
    return (
        f"{method} rtsp://{t.third}/ RTSP/1.0\r\nCSeq: {n}\r\nLocation: rtsp://{t.third}/\r\nSession: 12345678\r\n\r\n"
    ).encode()


METHODS = ("OPTIONS", "REDIRECT", "ANNOUNCE", "SET_PARAMETER", "GET_PARAMETER", "TEARDOWN", "DESCRIBE", "PLAY", "EVIL")


@mode(within=None)
def camera_requests(t):
    t.play()
    t.attack()
    t.show(4, beside=lambda n: ask(METHODS[n % len(METHODS)], t, n))
    raise Done


@mode("overhead", within=1)
def camera_request_flood(t):
    t.play()
    t.show(0.2)
    t.flood(lambda: b"".join(ask(method, t, 1) for method in METHODS))


def stray(cseq):
    return f"RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 12345678\r\n\r\n".encode()


@mode(within=None)
def stray_answers(t):
    """Each answer stands between wrong ones."""
    t.attack()
    wrong = [0, 999, 4294967295]
    while True:
        request = t.request()
        for cseq in wrong:
            t.send(f"RTSP/1.0 404 Not Found\r\nCSeq: {cseq}\r\n\r\n")
        t.plain(request)
        if request.method == "PLAY":
            break
    t.show(3, beside=lambda n: stray(wrong[n % 3]))
    raise Done


@mode(within=None)
def huge_cseq(t):
    """Numbers that no counter holds, for the answers themselves."""
    t.attack()
    t.play(DESCRIBE={"cseq": 2**64}, SETUP={"cseq": 10**40}, PLAY={"cseq": "-1\x1b"})
    t.show(2, beside=lambda n: stray(10**n))
    raise Done


@mode("no_answer", within=5)
def wrong_cseq(t):
    request = t.until("DESCRIBE")
    t.attack()
    t.plain(request, cseq=77)
    t.pause(SECONDS)


@mode("overhead", GRAMMAR, within=1)
def stray_answer_flood(t):
    t.play()
    t.show(0.2)
    t.flood(stray(4294967295) * 20)


def with_session(name, session):
    @mode(within=None, name=name)
    def run(t):
        t.attack()
        t.play(SETUP={"Session": session}, PLAY={"Session": session})
        t.show(2)
        raise Done


with_session("session_empty", "")
with_session("session_spaces", "   ;timeout=60")
with_session("session_spaced", "a b c;timeout=60")
with_session("session_huge_timeout", "12345678;timeout=99999999999999999999999")
with_session("session_timeout_0", "12345678;timeout=0")
with_session("session_4000_bytes", "s" * 4000)


def control_strings(t):
    """Control characters and fake log lines in each string that the grammar lets a camera say."""
    t.extra = {"Server": f"evil {ESCAPES}", "X-Any": f"\t{ESCAPES}", "Date": "a\r\n level=ERROR forged=1"}


@mode(within=None)
def escapes_in_headers(t):
    control_strings(t)
    t.attack()
    t.play(DESCRIBE={"status": f"200 {ESCAPES}"})
    t.show(2)
    raise Done


@mode(GRAMMAR)
def escapes_in_header_names(t):
    t.extra = {f"X{ESCAPES}": "name"}
    t.attack()
    t.plain(t.request())
    t.pause(2)


@mode(within=None)
def escapes_in_description(t):
    t.attack()
    t.play(DESCRIBE={"body": description(name=ESCAPES + "\nlevel=ERROR forged=1", session=f"i={ESCAPES}\r\na=tool:{ESCAPES}\r\n", video=f"a=x:{ESCAPES}\r\n")})
    t.show(2)
    raise Done


@mode("login_refused", "login_required", "unknown_challenge", GRAMMAR, within=1)
def escapes_in_realm(t):
    t.attack()
    while True:
        t.answer(t.request(), "401 " + ESCAPES, WWW_Authenticate=f'Digest realm="{ESCAPES}", nonce="{ESCAPES}", opaque="{ESCAPES}"')


@mode("status", GRAMMAR)
def escapes_in_refusal(t):
    request = t.until("DESCRIBE")
    t.attack()
    t.answer(request, f"499 {ESCAPES}\r\n forged", Server=ESCAPES)
    t.pause(2)


@mode(within=None)
def unknown_channels(t):
    """A little of it beside good pictures."""
    t.play()
    t.attack()
    t.show(3, beside=lambda n: framed(2 + n % 254, bytes(100)))
    raise Done


@mode("overhead", within=1)
def unknown_channel_flood(t):
    t.play()
    t.show(0.2)
    t.flood(b"".join(framed(channel, bytes(100)) for channel in range(2, 256)))


def rtcp_flood(name, make):
    @mode("overhead", within=1, name=name)
    def run(t):
        t.play()
        t.show(0.2)
        t.flood(framed(1, sender_report(1000) + make) * 20)


rtcp_flood("rtcp_bye_flood", bye(b"x" * 200))
rtcp_flood("rtcp_app_flood", app(b"x" * 1000))
rtcp_flood("rtcp_sdes_flood", sdes(b"x" * 250))


@mode("overhead", within=1)
def blank_line_flood(t):
    t.play()
    t.show(0.2)
    t.flood(b"\r\n" * 10_000)


@mode("no_usable_media", "description", GRAMMAR)
def gzip_body(t):
    request = t.until("DESCRIBE")
    t.attack()
    t.answer(request, Content_Type="application/sdp", Content_Encoding="gzip", body=gzip.compress(description()))
    t.pause(2)


@mode("no_usable_media", "description", GRAMMAR)
def gzip_bomb(t):
    request = t.until("DESCRIBE")
    t.attack()
    t.answer(request, Content_Type="application/sdp", Content_Encoding="gzip", body=gzip.compress(bytes(40_000_000)))
    t.pause(2)


# ---- Markers: modes that play, with a text in each place that a camera fills ---------------------


MARKERS = {}


def marks(run):
    MARKERS[run.__name__] = run
    return run


def in_answers(t):
    """The text in what is said over RTSP."""
    m = t.marker
    sets = pictures_of("door.h264")[0][:2]
    session = f"i={m}\r\nu=http://{m}/\r\ne={m}\r\nb=AS:500\r\na=tool:{m}\r\na={m}\r\na=control:*\r\n"
    video = f"i={m}\r\na={m}:1\r\na=label:{m}\r\na=x-dimensions:{m}\r\n"
    t.extra = {"Server": m, "X-Note": m, f"X-{m}": "1", "Date": m, "Cache-Control": m}
    challenge = f'Digest realm="{m}", nonce="{m}", opaque="{m}", qop="auth", domain="{m}"'
    t.answer(t.request(), f"401 {m}", WWW_Authenticate=challenge)
    body = description(sets, session, video, name=m, control=m).replace(b"packetization-mode", f"{m}={m};packetization-mode".encode())
    t.play(
        DESCRIBE={"status": f"200 {m}", "Content_Base": f"rtsp://{m}/{m}/", "body": body},
        SETUP={"status": f"200 {m}", "Session": f"{m};timeout=60", "Transport": TCP + f"ssrc=00005EED;x={m}"},
        PLAY={"status": f"200 {m}", "Session": m, "RTP_Info": f"url=rtsp://{m}/{m}/{m};seq=1;rtptime=1000"},
    )


def control_packets(m):
    return lambda n: framed(1, sender_report(1000 + n * 3600) + sdes(m) + app(m)) if n % 10 == 0 else b""


@marks
def marker_in_rtsp_and_rtcp(t):
    in_answers(t)
    t.show(8, beside=control_packets(t.marker.encode()))
    t.send(framed(1, sender_report(1) + bye(t.marker.encode())))


@marks
def marker_in_rtp(t):
    """Header extension, CSRC list and padding."""
    m = t.marker.encode()
    t.play()
    t.show(8, stream=Stream(csrc=m, extension=m, padding=m))


@marks
def marker_in_nals(t):
    """SEI, AUD, filler, end of sequence, and the types that nobody has defined, around each picture."""
    m = t.marker.encode()
    t.play()
    before = [b"\x09\xf0" + m, b"\x06\x05\x10" + m + b"\x80", b"\x06\x04\x10" + m + b"\x80"]
    before += [bytes([kind]) + m for kind in (12, 13, 14, 16, 17, 18, 19, 20, 21, 22, 23)]
    t.show(8, dress=lambda nals, n: [before[0], *nals[:-1], *before[1:3], before[3 + n % (len(before) - 3)], nals[-1]])


def tailed(nals, m):
    """Parameter sets with more behind their end."""
    return [nal + m if nal[0] & 31 in (7, 8) else nal for nal in nals]


@marks
def marker_in_parameter_tails(t):
    """In band: the sound ones come by the session description."""
    m = t.marker.encode()
    t.play()
    t.show(8, dress=lambda nals, n: tailed(nals, m))


@marks
def marker_in_description_tails(t):
    """In the session description: the sound ones come in band."""
    m = t.marker.encode()
    t.play(DESCRIBE={"body": description(tailed(pictures_of("door.h264")[0][:2], m))})
    t.show(8)


# ---- The process -------------------------------------------------------------------------------


def serve(run, options):
    listener = socket.create_server(("127.0.0.1", options.port), backlog=8)
    record, lock = open(options.record, "ab"), threading.Lock()
    events = open(f"{options.record}.events", "a")

    def connection(sock, number):
        def say(event):
            with lock:
                events.write(json.dumps({"n": number, "event": event, "t": time.monotonic()}) + "\n")
                events.flush()

        say("connect")
        try:
            run(Talk(sock, record, say, options))
            say("done")
        except Done:
            say("done")
        except (Closed, ConnectionError):
            say("closed")
        except Exception as fault:  # noqa: BLE001 (a fault of the test: said, and seen by it)
            say(f"fault {fault!r}")
        finally:
            sock.close()

    print("listening", listener.getsockname()[1], flush=True)
    for number in range(100):
        sock, _ = listener.accept()
        threading.Thread(target=connection, args=(sock, number), daemon=True).start()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=[*MODES, *MARKERS])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--record", required=True)
    parser.add_argument("--third", default="127.0.0.77:9")
    parser.add_argument("--marker", default="MARKER")
    options = parser.parse_args()
    run = MODES[options.mode].run if options.mode in MODES else MARKERS[options.mode]
    serve(run, options)


if __name__ == "__main__":
    main()
