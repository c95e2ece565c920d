"""A client that knows the pictures it should get by their bytes, and when each came.

It speaks RTSP over TLS itself: players do not show which bytes came, and when.
"""
import base64
import collections
import hashlib
import math
import struct
import threading
import time

import peers
from hostile_talk import pictures_of


def digest(data):
    return hashlib.sha256(data).digest()


def numbered(nals):
    """What :class:`Reader` knows the pictures by: digest of each slice -> its number."""
    return {digest(nal): number for number, nal in enumerate(nals)}


DOOR = numbered(picture[-1] for picture in pictures_of("door.h264"))


class H264:
    """RFC 6184."""

    aggregate, fragment, header = 24, 28, 1

    @staticmethod
    def kind(data):
        return data[0] & 31

    @staticmethod
    def is_slice(nal):
        return nal[0] & 31 in (1, 5)

    @staticmethod
    def first(data):
        """The header of a fragmented NAL unit."""
        return bytes([data[0] & 0xE0 | data[1] & 31])


class H265:
    """RFC 7798."""

    aggregate, fragment, header = 48, 49, 2

    @staticmethod
    def kind(data):
        return data[0] >> 1 & 63

    @staticmethod
    def is_slice(nal):
        return nal[0] >> 1 & 63 < 32

    @staticmethod
    def first(data):
        return bytes([data[0] & 0x81 | (data[2] & 63) << 1, data[1]])


class Jpeg:
    """RFC 2435, as the gateway sends it: type 0 or 1, both tables in the first packet."""

    @staticmethod
    def coded(data):
        """The offset, and the coded bytes, of a packet."""
        offset = int.from_bytes(data[1:4], "big")
        return offset, data[8 + (0 if offset else 4 + 128) :]


class Reader(threading.Thread):
    """Plays a stream from its first picture on. `known`: see :func:`numbered`."""

    def __init__(self, gateway, stream, user, password, known=DOOR, codec=H264, sound=False):
        super().__init__(daemon=True)
        self.known, self.codec = known, codec
        self.rtsp, self.url = peers.Rtsp(gateway), gateway.url(stream)
        # What came, whole; NAL units; (number, time); sound frames; pictures that are not known.
        self.raw, self.nals, self.arrived, self.frames, self.foreign, self.fault = [], [], [], [], 0, None
        self.leave = threading.Event()
        self.login = {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
        _, headers, body = self.ask("DESCRIBE", self.url)
        base = headers["content-base"]
        self.raw.append(body)
        session = {}
        for track in range(1 + sound):
            tcp = f"RTP/AVP/TCP;unicast;interleaved={2 * track}-{2 * track + 1}"
            _, headers, _ = self.ask("SETUP", f"{base}trackID={track}", Transport=tcp, **session)
            session = {"Session": headers["session"].split(";")[0]}
        self.session = {**session, **self.login}
        self.ask("PLAY", base, **session)
        self.since = time.monotonic()
        self.start()

    @property
    def numbers(self):
        return [number for number, _ in self.arrived]

    def ask(self, method, url, **headers):
        status, headers, body = self.rtsp.ask(method, url, **headers, **self.login)
        assert status == 200, (method, url, status)
        self.raw.append(str(headers).encode())
        return status, headers, body

    def run(self):
        try:
            kept = time.monotonic()
            while not self.leave.is_set():
                if time.monotonic() - kept > 20:
                    kept = time.monotonic()
                    self.keep_alive()
                self.item()
        except (OSError, struct.error, ValueError, IndexError, AssertionError) as fault:
            if not self.leave.is_set():
                self.fault = fault

    def keep_alive(self):
        self.rtsp.cseq += 1
        headers = "".join(f"{name}: {value}\r\n" for name, value in self.session.items())
        self.rtsp.socket.sendall(f"GET_PARAMETER {self.url} RTSP/1.0\r\nCSeq: {self.rtsp.cseq}\r\n{headers}\r\n".encode())

    def item(self):
        first = self.rtsp.file.read(1)
        if first != b"$":
            for line in iter(self.rtsp.file.readline, b"\r\n"):
                assert line, "the gateway closed"
                self.raw.append(line)
            return
        channel, size = struct.unpack(">BH", self.rtsp.file.read(3))
        packet = self.rtsp.file.read(size)
        if len(self.raw) < 100_000:
            self.raw.append(packet)
        payload = packet[12 + 4 * (packet[0] & 15) :]
        if channel == 0:
            if self.codec is Jpeg:
                self.picture(payload, packet[1] & 0x80)
            else:
                self.payload(payload)
        elif channel == 2:
            # RFC 3640: one frame behind the length of the headers and its header.
            self.frames.append(payload[4:])

    def payload(self, data):
        codec, kind = self.codec, self.codec.kind(data)
        if kind == codec.fragment:
            begin = codec.header + 1
            if data[codec.header] & 0x80:
                self.nals.append(codec.first(data))
            self.nals[-1] += data[begin:]
            if data[codec.header] & 0x40:
                self.whole(self.nals[-1])
        elif kind == codec.aggregate:
            at = codec.header
            while at < len(data):
                size = struct.unpack(">H", data[at : at + 2])[0]
                self.nals.append(data[at + 2 : at + 2 + size])
                self.whole(self.nals[-1])
                at += 2 + size
        else:
            self.nals.append(data)
            self.whole(data)

    def picture(self, data, last):
        """Coded data of a JPEG picture; the end marker is not counted to it."""
        offset, coded = Jpeg.coded(data)
        if offset == 0:
            self.nals.append(b"")
        self.nals[-1] += coded
        if last:
            self.came(self.nals[-1].removesuffix(b"\xff\xd9"))

    def whole(self, nal):
        if self.codec.is_slice(nal):
            self.came(nal)

    def came(self, coded):
        number = self.known.get(digest(coded))
        if number is None:
            self.foreign += 1
        else:
            self.arrived.append((number, time.monotonic()))

    def stop(self):
        self.leave.set()
        self.join(5)
        self.rtsp.close()


def latencies(sent, arrived):
    """Seconds from each picture's first byte sent to its last byte here; both (number, time), in order of time."""
    waiting = collections.defaultdict(collections.deque)
    for number, at in sent:
        waiting[number].append(at)
    found = []
    for number, at in arrived:
        times = waiting[number]
        assert times and times[0] <= at, "a picture that nobody sent"
        # The numbers come again with each turn of the clip.
        while len(times) > 1 and times[1] <= at:
            times.popleft()
        found.append(at - times[0])
    return found


def percentile(values, of_hundred):
    """By nearest rank: the least value that so many of a hundred do not exceed."""
    ordered = sorted(values)
    return ordered[math.ceil(len(ordered) * of_hundred / 100) - 1]
