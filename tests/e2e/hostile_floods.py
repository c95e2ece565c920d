"""Hostile cameras that send too much, or what nobody can read: heads, bodies, units, packets, parameter sets."""
import itertools
import random
import time

from hostile_modes import GRAMMAR, mode
from hostile_talk import Done, SECONDS, Stream, UNIT_BYTES, description, framed, pictures_of


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


@mode("unit_bytes", "byte_rate", within=1)
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


@mode("unit_nals", "bad_packets", "unit_bytes", "byte_rate", within=1)
def start_codes(t):
    t.play()
    stream = Stream()
    paced(t, lambda: b"".join(stream.packet(1000, b"\x41" + b"\0\0\1\x41" * 320, False) for _ in range(20)))


@mode("unit_rate", "no_first_unit", within=10)
def lonely_sei(t):
    """Each access unit is an SEI: none is a picture."""
    t.play()
    stream, n = Stream(), [0]

    def unit():
        n[0] += 1
        return stream.packet(n[0] * 3600, b"\x06\x05" + b"\x55" * 1300, True)

    paced(t, unit, 400_000)


@mode("stalled", "byte_rate", within=5)
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


@mode("bad_packets")
def random_rtp(t):
    t.play()
    t.flood(lambda: b"".join(framed(random.choice((0, 0, 0, 1)), random.randbytes(random.randrange(1, 1400))) for _ in range(50)))


@mode("bad_packets", "unit_bytes", "unit_nals", "byte_rate", "unit_rate", "no_first_unit", "overhead", within=10)
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


@mode("unit_rate", "byte_rate", within=6)
def random_timestamps_fast(t):
    t.play()
    stream, sets, slice_ = Stream(), pictures_of("door.h264")[0][:2], pictures_of("door.h264")[1][-1]
    t.send(stream.unit([*sets, key_nal()], 1))
    t.flood(lambda: b"".join(stream.unit([slice_], random.getrandbits(32)) for _ in range(50)))
