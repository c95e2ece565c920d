"""What the hostile cameras, and the sound one beside them, are made of: media, RTP, and one RTSP connection.

Only standard library: it runs in the cameras' own processes.
"""
import base64
import dataclasses
import pathlib
import re
import select
import socket
import struct
import time
import urllib.parse

CLIPS = pathlib.Path(__file__).resolve().parents[2] / "src/app/simulator/clips"
UNIT_BYTES = 2 * 1024 * 1024  # limits::ACCESS_UNIT_BYTES
SECONDS = 20  # no connection lives longer
ESCAPES = "\x1b[31mred\x1b]0;title\x07\x9b1m\x00\x7f<script>"


# ---- Media -------------------------------------------------------------------------------------


def pictures_of(name):
    """The pictures of a clip, each a list of NAL units; a key picture begins with its parameter sets."""
    data = (CLIPS / name).read_bytes()
    pictures, nals = [], []
    for nal in re.split(b"\0{2,3}\1", data)[1:]:
        nals.append(nal)
        if nal[0] >> 1 & 63 < 32 if name.endswith("h265") else nal[0] & 31 in (1, 5):
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


class Stream265(Stream):
    """An H.265 track (RFC 7798)."""

    def fragments(self, nal, ts, size=1300, last=True, end=True):
        if len(nal) <= size:
            yield self.packet(ts, nal, last)
            return
        head, body = bytes([nal[0] & 0x81 | 49 << 1, nal[1]]), nal[2:]
        for at in range(0, len(body), size):
            final = at + size >= len(body)
            header = (at == 0) << 7 | (final and end) << 6 | nal[0] >> 1 & 63
            yield self.packet(ts, head + bytes([header]) + body[at : at + size], final and end and last)


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


TCP = "RTP/AVP/TCP;unicast;interleaved=0-1;"


def description(sets=None, session="", video="", name="camera", control="track1"):
    sets = sets or pictures_of("door.h264")[0][:2]
    coded = [base64.b64encode(s).decode() for s in sets]
    if len(sets) == 3:
        codec, parameters = "H265", ";".join(f"sprop-{kind}={s}" for kind, s in zip(("vps", "sps", "pps"), coded))
    else:
        codec, parameters = "H264", "packetization-mode=1;sprop-parameter-sets=" + ",".join(coded)
    return (
        f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns={name}\r\nt=0 0\r\n{session}m=video 0 RTP/AVP 96\r\na=rtpmap:96 {codec}/90000\r\n"
        f"a=fmtp:96 {parameters}\r\n{video}a=control:{control}\r\n"
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
        self.extra, self.path = {}, None
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
            self.path = urllib.parse.urlsplit(request.uri).path
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

    def show(self, seconds, stream=None, beside=lambda picture: b"", dress=lambda nals, n: nals, time_of=None, fps=25, clip=None):
        """Plays the clip for a while, with `beside` after each picture."""
        stream, clip, begin = stream or Stream(), clip or pictures_of("door.h264"), time.monotonic()
        for number in range(int(seconds * fps)):
            ts = time_of(number) if time_of else 1000 + number * 90000 // fps
            self.send(stream.unit(dress(clip[number % len(clip)], number), ts) + beside(number))
            self.serve()
            self.pause(begin + (number + 1) / fps - time.monotonic())
