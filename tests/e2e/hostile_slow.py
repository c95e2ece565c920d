"""Hostile cameras that send too little: a byte now and then, or nothing, in each state of a session."""
import time

from hostile_modes import GRAMMAR, mode
from hostile_talk import Closed, Done, Stream, framed, pictures_of, rtp


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
