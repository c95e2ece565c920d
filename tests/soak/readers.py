"""Readers over RTSPS, hundreds in one process, that know what must come.

Every RTP packet's sequence number must be the one after the one before, from the first that RTP-Info named to the last; at a
camera that is sound every picture's timestamp too; at a camera that plays a clip every picture must be the next one by its
bytes. A player would hide such gaps.
"""
import asyncio
import base64
import random
import ssl
import struct
import time

import hostile_reader

OPEN = 20  # seconds from the connection to the answer to PLAY; places before login are few
FIRST_PICTURE = 10
SILENCE = 6
LINGER = 8  # the two seconds of the configuration, the goodbye, and a busy machine
HEAD = struct.Struct(">HI")


class Refused(Exception):
    """The gateway answered a request with another status than 200."""

    def __init__(self, method, status):
        super().__init__(f"{method} was answered with {status}")
        self.status = status


class Clip:
    """Takes an RTP stream apart and says what is not the next picture of the clip."""

    codec, known = hostile_reader.H264, hostile_reader.DOOR
    payload, whole = hostile_reader.Reader.payload, hostile_reader.Reader.whole

    def __init__(self, wrong):
        self.nals, self.last, self.wrong = [], None, wrong

    def came(self, coded):
        self.nals.clear()
        number = self.known.get(hostile_reader.digest(coded))
        if number is None:
            self.wrong("picture", "one that the camera never sent")
        elif self.last is not None and number != (self.last + 1) % len(self.known):
            self.wrong("unit lost", f"picture {number} came after {self.last}")
        self.last = number


class Reader(asyncio.Protocol):
    """One connection that plays the video of one stream. `wrong(kind, text)` hears what should not be."""

    def __init__(self, camera, wrong):
        self.camera, self.clip = camera, None
        self.wrong = lambda kind, text: wrong(kind, f"{camera.stream}: {text}")
        if camera.clip:
            self.clip = Clip(self.wrong)
        self.buffer, self.answer, self.cseq = bytearray(), None, 0
        self.ended = asyncio.get_running_loop().create_future()
        self.seq, self.stamp, self.pictures, self.packets, self.heard = None, None, 0, 0, 0.0
        self.left = False

    # ---- Control ------------------------------------------------------------------------------

    async def open(self, gateway, user, password):
        self.url = gateway.url(self.camera.stream)
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.headers = f"Authorization: Basic {pair}\r\n"
        context = context_for(gateway.ca)
        try:
            async with asyncio.timeout(OPEN):
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: self, "127.0.0.1", gateway.port, ssl=context, server_hostname="localhost")
                answer = await self.ask("DESCRIBE", self.url)
                base = answer["content-base"]
                answer = await self.ask("SETUP", f"{base}trackID=0", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n")
                self.headers += f"Session: {answer['session'].split(';')[0]}\r\n"
                await self.ask("PLAY", base)
        except BaseException:
            self.vanish()
            raise

    async def ask(self, method, url, more=""):
        self.cseq += 1
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(f"{method} {url} RTSP/1.0\r\nCSeq: {self.cseq}\r\n{self.headers}{more}\r\n".encode())
        status, headers = await self.answer
        if status != 200:
            raise Refused(method, status)
        return headers

    async def leave(self):
        """As a client should."""
        self.left = True
        if not self.ended.done():
            try:
                async with asyncio.timeout(OPEN):
                    await self.ask("TEARDOWN", self.url)
            except (OSError, TimeoutError, Refused) as error:
                self.wrong("TEARDOWN", repr(error))
        self.vanish()

    def vanish(self):
        """As a client whose machine died."""
        self.left = True
        if getattr(self, "transport", None):
            self.transport.abort()

    def is_silent(self, now):
        """No picture for longer than a sound camera and a busy machine explain."""
        return now - self.heard > (SILENCE if self.pictures else FIRST_PICTURE)

    # ---- Wire ---------------------------------------------------------------------------------

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, error):
        if not self.ended.done():
            self.ended.set_result(error)
        if self.answer and not self.answer.done():
            self.answer.set_exception(ConnectionResetError(f"the gateway closed: {error}"))
            self.answer.exception()  # Nobody may be waiting any more.

    def data_received(self, data):
        buffer = self.buffer
        buffer += data
        at, end = 0, len(buffer)
        while end - at >= 4:
            if buffer[at] == 36:
                size = buffer[at + 2] << 8 | buffer[at + 3]
                if end - at - 4 < size:
                    break
                if buffer[at + 1] == 0:
                    self.packet(buffer, at + 4, size)
                at += 4 + size
            else:
                size = self.response(buffer, at)
                if not size:
                    break
                at += size
        del buffer[:at]

    def response(self, buffer, at):
        """Takes a whole response; returns its length, or 0."""
        end = buffer.find(b"\r\n\r\n", at)
        if end < 0:
            return 0
        status, *lines = bytes(buffer[at:end]).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = end + 4 - at + int(headers.get("content-length", 0))
        if len(buffer) - at < size:
            return 0
        if "rtp-info" in headers:
            fields = dict(field.partition("=")[::2] for field in headers["rtp-info"].split(",")[0].split(";"))
            self.seq, self.heard = (int(fields["seq"]) - 1) & 0xFFFF, time.monotonic()
        if self.answer and not self.answer.done():
            self.answer.set_result((int(status.split()[1]), headers))
        return size

    def packet(self, buffer, at, size):
        seq, stamp = HEAD.unpack_from(buffer, at + 2)
        self.packets += 1
        if self.seq is None:
            self.heard = time.monotonic()
        elif seq != (self.seq + 1) & 0xFFFF:
            missing = (seq - self.seq - 1) & 0xFFFF
            self.wrong("unit lost", f"{missing} packets before sequence number {seq}, after {self.pictures} pictures")
        self.seq = seq
        if stamp != self.stamp:
            self.picture(stamp)
        if self.clip:
            self.clip.payload(bytes(buffer[at + 12 : at + size]))

    def picture(self, stamp):
        step = self.camera.ticks
        if step and self.stamp is not None:
            apart = (stamp - self.stamp) & 0xFFFFFFFF
            if apart != step:
                self.wrong("unit lost", f"pictures {apart} ticks apart, not {step}, after {self.pictures} pictures")
        self.stamp, self.heard = stamp, time.monotonic()
        self.pictures += 1


CONTEXTS = {}


def context_for(ca):
    if ca not in CONTEXTS:
        CONTEXTS[ca] = ssl.create_default_context(cafile=str(ca))
    return CONTEXTS[ca]


class Crowd:
    """Readers that come and go: each takes a camera, plays for a while, leaves one way or another, and comes again."""

    def __init__(self, gateway, cameras, login, findings, size, shortest=5, longest=60):
        self.gateway, self.cameras, self.login, self.findings = gateway, cameras, login, findings
        self.size, self.stay = size, (shortest, longest)
        self.playing, self.pictures, self.sessions, self.refused = set(), 0, 0, 0

    async def run(self, done):
        self.done = done
        async with asyncio.TaskGroup() as group:
            for place in range(self.size):
                group.create_task(self.place(place))

    async def place(self, number):
        # All at once is another test.
        await self.pause(number * 10 / self.size)
        while not self.done.is_set():
            await self.visit(random.choice(self.cameras))
            await self.pause(random.uniform(0.1, 2))

    async def pause(self, seconds):
        try:
            await asyncio.wait_for(self.done.wait(), seconds)
        except TimeoutError:
            pass

    async def visit(self, camera):
        reader = Reader(camera, self.findings.add)
        sound = camera.truth.is_sound()
        try:
            await reader.open(self.gateway, *self.login)
        except (OSError, TimeoutError, Refused) as error:
            self.refused += 1
            if sound and camera.truth.is_sound():
                self.findings.add("not let in", f"{camera.stream}: {error!r}")
            return await self.pause(1)
        self.sessions += 1
        self.playing.add(reader)
        await self.watch(reader, time.monotonic() + random.uniform(*self.stay))
        self.playing.discard(reader)
        self.pictures += reader.pictures
        if random.random() < 0.7:
            await reader.leave()
        else:
            reader.vanish()

    async def call(self, camera, done):
        """Alone at an on-demand camera, again and again: it plays when somebody looks, and rests when nobody does."""
        while not done.is_set():
            camera.flickers(OPEN)
            reader = Reader(camera, self.findings.add)
            try:
                await reader.open(self.gateway, *self.login)
                camera.plays(1)
                await self.watch(reader, time.monotonic() + 8)
                await reader.leave()
            except (OSError, TimeoutError, Refused) as error:
                self.findings.add("not let in", f"{camera.stream}: {error!r}")
            camera.rests(LINGER)
            await self.pause(LINGER + 5)

    async def watch(self, reader, until):
        while (now := time.monotonic()) < until and not self.done.is_set():
            try:
                error = await asyncio.wait_for(asyncio.shield(reader.ended), 1)
                return self.findings.add("reader ended", f"{reader.camera.stream}: {error!r}")
            except TimeoutError:
                pass
            # Only while the camera has been sound for the whole time.
            if reader.camera.sound_for(SILENCE + FIRST_PICTURE) and reader.is_silent(now):
                return self.findings.add("silence", f"{reader.camera.stream}: after {reader.pictures} pictures")
