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
import itertools
import json
import math
import pathlib
import random
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from hostile_markers import MARKERS  # noqa: E402
from hostile_talk import (  # noqa: E402
    Closed, Done, ESCAPES, SECONDS, Stream, TCP, Talk, UNIT_BYTES, app, bye, description, framed, pictures_of, rtp, sdes, sender_report,
)


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
    """Whole units, faster than any camera may: up to 200 MB at once, where 25 MB and as much a second are allowed."""
    sets, stream = pictures_of("door.h264")[0][:2], Stream()
    unit = [*sets, key_nal() + b"\x55" * 1_000_000]
    units = [stream.unit(unit, n * 3600, 1400) for n in range(30)]
    t.play()
    t.attack()
    begin, sent = time.monotonic(), 0
    while sent < 200_000_000:
        # The same once more is old to the airlock, and counts all the same.
        for data in units:
            t.send(data)
            sent += len(data)
            if b"TEARDOWN " in t.buffer:
                # Only its answer is looked for from now on.
                t.pause(SECONDS)
    # A machine too slow to break the bound proves nothing. Up to 40 MB may lie in the kernel.
    assert time.monotonic() - begin > 5, "200 MB were taken within 5 s"
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
    """Key pictures of 0.99 of the bound (which counts packet headers too), each with an SEI that is taken out, for 8 s at
    10 MB/s and then one a second, 60 s in all: nothing forbids them."""
    t.deadline += 60
    t.play()
    sets, stream = pictures_of("door.h264")[0][:2], Stream()
    sei = b"\x06\x05\x10" + bytes(range(1, 17)) + b"\x80"
    big = key_nal() + b"\x55" * (UNIT_BYTES * 99 // 100 * 1400 // 1420 - len(key_nal()))
    t.attack()
    begin = time.monotonic()
    times = [n / 5 for n in range(1, 40)] + list(range(8, 61))
    for until in times:
        t.send(stream.unit([*sets, sei, big], 1000 + int(until * 90000), 1400))
        t.serve()
        t.pause(begin + until - time.monotonic())
        if time.monotonic() - begin > 60:
            break
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
def parameters_change(t):
    """Lawful ones, each another than the last, with every picture: the level changes, and the picture is a key picture."""
    levels = (30, 31, 32, 40, 41)
    sps, pps, key = pictures_of("door.h264")[0]
    t.play()
    t.attack()
    t.show(4, dress=lambda nals, n: [sps[:3] + bytes([levels[n % len(levels)]]) + sps[4:], pps, key])
    raise Done


@mode("unit_rate", "byte_rate", "format_changed", within=2)
def parameters_change_fast(t):
    levels = (30, 31, 32, 40, 41)
    sps, pps, key = pictures_of("door.h264")[0]
    t.play()
    t.show(0.2)
    stream, n = Stream(), itertools.count(20)
    unit = lambda: stream.unit([sps[:3] + bytes([random.choice(levels)]) + sps[4:], pps, key], next(n) * 3600)
    t.flood(lambda: b"".join(unit() for _ in range(20)))


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


CHALLENGE = 'Digest realm="camera", nonce="n1", qop="auth", algorithm=SHA-256'


@mode("slow_message", within=2)
def drip_login(t):
    """The answer to the signed request comes a byte at a time."""
    t.answer(t.request(), "401 Unauthorized", WWW_Authenticate=CHALLENGE)
    t.request()
    t.drip(b"RTSP/1.0 200 OK\r\nX-Slow: " + b"a" * 200)


@mode("no_answer", within=5)
def silent_login(t):
    t.answer(t.request(), "401 Unauthorized", WWW_Authenticate=CHALLENGE)
    t.request()
    t.silence()


@mode("slow_message", "stalled", within=5)
def drip_after_pictures(t):
    t.play()
    t.show(1)
    t.drip(framed(0, rtp(100, 99_000, b"\x65" * 1000, True)))


@mode("slow_message", "no_answer", "stalled", within=5)
def drip_keep_alive(t):
    """Pictures until the first keep-alive comes, whose answer never ends; nothing more can be read behind it."""
    t.play(SETUP={"Session": "12345678;timeout=1"})
    stream, clip, n = Stream(), pictures_of("door.h264"), 0
    while b"\r\n\r\n" not in t.buffer:
        t.send(stream.unit(clip[n % len(clip)], 1000 + n * 3600))
        t.pause(0.04)
        n += 1
    t.drip(b"RTSP/1.0 200 OK\r\nX-Slow: " + b"a" * 200)


@mode(within=None)
def silent_keep_alive(t):
    """Plays on and answers no keep-alive."""
    t.serve = lambda: None
    t.play(SETUP={"Session": "12345678;timeout=1"})
    t.attack()
    t.show(15)
    raise Done


@mode("overhead", GRAMMAR, within=1)
def drip_teardown(t):
    """The answer to TEARDOWN comes a byte at a time: the gateway does not wait for its end."""
    t.play()
    t.show(0.2)
    t.attack()
    while b"TEARDOWN " not in t.buffer:
        t.send(b"\r\n" * 10_000)
    asked = time.monotonic()
    try:
        t.drip(b"RTSP/1.0 200 OK\r\nX-Slow: " + b"a" * 200)
    except Closed:
        assert time.monotonic() - asked < 3, "the gateway waited"
        raise


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


def escapes_in(name, *ends, **changed):
    """In a value that the gateway looks into."""

    @mode(GRAMMAR, *ends, within=None, name=f"escapes_in_{name}")
    def run(t):
        t.attack()
        t.play(**changed)
        t.show(2)
        raise Done


escapes_in("control", "no_usable_media", DESCRIBE={"body": description(control=ESCAPES)})
escapes_in("content_base", DESCRIBE={"Content_Base": f"rtsp://{ESCAPES}/"})
escapes_in("session", SETUP={"Session": f"{ESCAPES};timeout={ESCAPES}"}, PLAY={"Session": ESCAPES})
escapes_in("transport", "not_interleaved", SETUP={"Transport": TCP + f"ssrc={ESCAPES};mode={ESCAPES}"})
escapes_in("rtp_info", PLAY={"RTP_Info": f"url={ESCAPES};seq={ESCAPES};rtptime={ESCAPES}", "Range": ESCAPES})


@mode(GRAMMAR, "overhead", within=None)
def escapes_in_requests(t):
    t.play()
    t.attack()
    t.show(2, beside=lambda n: f"EVIL{n} rtsp://{ESCAPES}/ RTSP/1.0\r\nCSeq: {ESCAPES}\r\nX: {ESCAPES}\r\n\r\n".encode("latin-1"))
    raise Done


@mode(within=None)
def escapes_in_rtcp(t):
    t.play()
    t.attack()
    e = ESCAPES.encode("latin-1")
    t.show(3, beside=lambda n: framed(1, sender_report(1000 + n * 3600) + (sdes(e), app(e), bye(e))[n % 3]) if n % 10 == 0 else b"")
    raise Done


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
rtcp_flood("rtcp_report_flood", b"")


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


# ---- The sound one -----------------------------------------------------------------------------


REFERENCE_FPS = 50


def reference(t):
    """Plays the clip for as long as it is asked to; FILE.PATH gets the number and the time of each picture, before it is
    sent."""
    t.deadline = math.inf
    t.play()
    sent = open(f"{t.record.name}.{t.path.strip('/').split('/')[0]}", "a", buffering=1)
    stream, clip, begin = Stream(), pictures_of("door.h264"), time.monotonic()
    for number in itertools.count():
        data = stream.unit(clip[number % len(clip)], 1000 + number * 90000 // REFERENCE_FPS)
        sent.write(f"{number % len(clip)} {time.monotonic()}\n")
        t.send(data)
        t.serve()
        t.pause(begin + (number + 1) / REFERENCE_FPS - time.monotonic())


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
    for number in range(1000):
        sock, _ = listener.accept()
        threading.Thread(target=connection, args=(sock, number), daemon=True).start()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=[*MODES, *MARKERS, "reference"])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--record", required=True)
    parser.add_argument("--third", default="127.0.0.77:9")
    parser.add_argument("--marker", default="MARKER")
    options = parser.parse_args()
    runs = {name: mode.run for name, mode in {**MODES, **MARKERS}.items()}
    serve({"reference": reference, **runs}[options.mode], options)


if __name__ == "__main__":
    main()
