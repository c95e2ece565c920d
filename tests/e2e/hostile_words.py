"""Hostile cameras that say what they should not: logins, other hosts, requests, strange answers, strings, reports, zipped bodies."""
import gzip
import random

from hostile_modes import GRAMMAR, mode
from hostile_talk import Done, ESCAPES, SECONDS, TCP, app, bye, description, framed, sdes, sender_report


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
