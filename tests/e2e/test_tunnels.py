"""RTSP over HTTPS and WebSocket: foreign clients play through it, and nobody gets in by it who would not get in without.

The player tests run one client after another: each opens two connections, and the places before login are few.
"""
import base64
import contextlib
import secrets
import socket
import ssl
import time

import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, InvalidStatus

import matrix
import peers
import players
from conftest import PASSWORD
from players import Access
from test_clients import Run, check

STREAM = "none/h264"


@pytest.fixture(scope="module")
def plain_gateway(work, vms, cameras):
    """Listens on loopback without TLS too."""
    plain = peers.free_port()
    config = vms[0] + peers.camera_toml("none", cameras["none"].port, {"h264": ("/h264", "always")})
    with peers.Gateway(work, config, "plain", f'plain_listen = ["127.0.0.1:{plain}"]\n') as gateway:
        gateway.wait_health(STREAM, "playing")
        gateway.plain = plain
        yield gateway


@pytest.mark.parametrize("client", players.CLIENTS)
def test_plays_over_https(client, gateway, cameras, work):
    before = opened(gateway)
    url = f"rtsp://127.0.0.1:{gateway.port}/{STREAM}"
    access = Access(url, gateway.ca, ("guard", PASSWORD), tunnel="https")
    check(players.CLIENTS[client](access, work), Run(client), cameras)
    assert opened(gateway) > before, "it took another way"
    matrix.record("transports", client=client, transport="RTSP over HTTPS")


def opened(gateway):
    """Tunnels that carried RTSP so far."""
    lines = gateway.page("/metrics").splitlines()
    return sum(int(line.split()[-1]) for line in lines if line.startswith("camlock_tunnels_opened_total"))


def test_plays_over_websocket(gateway, cameras, work):
    options = [gateway.ca, "guard", PASSWORD]
    url = f"wss://localhost:{gateway.port}/rtspoverwebsocket#{STREAM}"
    check(players.play_script("play_ws.py", url, work, *options), Run("websockets"), cameras)
    matrix.record("transports", client="websockets", transport="RTSP over WebSocket")


def test_a_digest_login_and_plain_http_on_loopback(plain_gateway, vms, cameras, work):
    url = f"rtsp://127.0.0.1:{plain_gateway.plain}/{STREAM}"
    for client in ("ffmpeg 9", "rtspsrc"):
        access = Access(url, plain_gateway.ca, ("recorder", vms[1]), tunnel="http")
        check(players.CLIENTS[client](access, work), Run(client), cameras)


def test_a_client_certificate_of_both_halves_is_the_login(gateway, pki, cameras, work):
    access = Access(f"rtsp://127.0.0.1:{gateway.port}/{STREAM}", gateway.ca, certificate=(pki.cert, pki.key), tunnel="https")
    check(players.rtspsrc(access, work), Run("rtspsrc"), cameras)


def test_wrong_ca_and_wrong_password_do_not_play(gateway, pki, work):
    url = f"rtsp://127.0.0.1:{gateway.port}/{STREAM}"
    stranger = Access(url, pki.other_ca, ("guard", PASSWORD), tunnel="https")
    guesser = Access(url, gateway.ca, ("guard", "wrong password"), tunnel="https")
    assert players.ffmpeg_9(stranger, work).status != 0
    assert players.ffmpeg_9(guesser, work).status != 0
    assert "401" in players.ffmpeg_5(guesser, work).errors


class Half:
    """One connection of a tunnel, by hand."""

    def __init__(self, gateway, method, cookie, certificate=None, source="127.0.0.1"):
        context = ssl.create_default_context(cafile=str(gateway.ca))
        if certificate:
            context.load_cert_chain(*certificate)
        raw = socket.create_connection(("127.0.0.1", gateway.port), timeout=10, source_address=(source, 0))
        self.socket = context.wrap_socket(raw, server_hostname="localhost")
        self.file = self.socket.makefile("rb")
        self.send(
            f"{method} /{STREAM} HTTP/1.1\r\nx-sessioncookie: {cookie}\r\nHost: localhost\r\n"
            "Content-Type: application/x-rtsp-tunnelled\r\nContent-Length: 32767\r\n\r\n".encode()
        )

    def send(self, data):
        self.socket.sendall(data)

    def head(self):
        """The next status line; its headers are read."""
        status = self.file.readline().decode()
        while self.file.readline() not in (b"\r\n", b""):
            pass
        return status.strip()

    def rtsp(self, text):
        self.send(base64.b64encode(text.encode()))

    def is_over(self):
        try:
            return self.file.read(1) == b""
        except OSError:
            return True

    def close(self):
        self.file.close()
        self.socket.close()


@pytest.fixture
def half(gateway):
    """Makes halves, and closes them."""
    made = []

    def of(*arguments, **options):
        made.append(Half(gateway, *arguments, **options))
        return made[-1]

    yield of
    for one in made:
        one.close()


def describe(gateway, login=None, cseq=1):
    authorization = f"Authorization: Basic {base64.b64encode(login.encode()).decode()}\r\n" if login else ""
    return f"DESCRIBE {gateway.url(STREAM)} RTSP/1.0\r\nCSeq: {cseq}\r\n{authorization}\r\n"


def test_the_login_is_inside_rtsp(gateway, half):
    cookie = secrets.token_hex(8)
    get = half("GET", cookie)
    assert get.head() == "HTTP/1.0 200 OK"
    post = half("POST", cookie)
    post.rtsp(describe(gateway))
    assert get.head() == "RTSP/1.0 401 Unauthorized"
    post.rtsp(describe(gateway, "guard:wrong password", 2))
    assert get.head() == "RTSP/1.0 401 Unauthorized"
    post.rtsp(describe(gateway, f"guard:{PASSWORD}", 3))
    assert get.head() == "RTSP/1.0 200 OK"
    post.close()
    while get.file.read(4096):
        pass


def test_halves_of_two_peers_are_refused(gateway, half, pki):
    certificate = (pki.cert, pki.key)
    cookie = secrets.token_hex(8)
    get = half("GET", cookie)
    assert get.head() == "HTTP/1.0 200 OK"
    thieves = [half("POST", cookie, certificate), half("POST", cookie, source="127.0.0.9")]
    for thief in thieves:
        assert thief.head() == "HTTP/1.0 404 Not Found"
        assert thief.is_over()
    assert half("GET", cookie).head() == "HTTP/1.0 409 Conflict"
    assert half("POST", secrets.token_hex(8)).head() == "HTTP/1.0 404 Not Found"
    log = gateway.said()
    assert log.count("x-sessioncookie of another peer") >= 2 and cookie not in log
    # The owner still comes in, with a port of its own.
    half("POST", cookie).rtsp(describe(gateway, f"guard:{PASSWORD}"))
    assert get.head() == "RTSP/1.0 200 OK"

    cookie = secrets.token_hex(8)
    get = half("GET", cookie, certificate)
    assert get.head() == "HTTP/1.0 200 OK"
    assert half("POST", cookie).head() == "HTTP/1.0 404 Not Found"
    half("POST", cookie, certificate).rtsp(describe(gateway))
    assert get.head() == "RTSP/1.0 200 OK", "the certificate is the login"


def test_slow_and_lonely_requests_are_cut_in_time(gateway, half):
    began = time.monotonic()
    lonely = half("GET", secrets.token_hex(8))
    assert lonely.head() == "HTTP/1.0 200 OK"
    dripping = Half.__new__(Half)
    raw = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
    dripping.socket = ssl.create_default_context(cafile=str(gateway.ca)).wrap_socket(raw, server_hostname="localhost")
    dripping.file = dripping.socket.makefile("rb")
    dripping.socket.settimeout(0.2)
    ended = None
    for byte in b"GET /" + b"a" * 60:
        try:
            dripping.send(bytes([byte]))
            if dripping.socket.recv(1) == b"":
                ended = time.monotonic() - began
                break
        except TimeoutError:
            continue
        except OSError:
            ended = time.monotonic() - began
            break
    dripping.close()
    assert ended and 4 < ended < 8, ended
    assert lonely.is_over() and 9 < time.monotonic() - began < 13


@pytest.fixture
def web(gateway, pki):
    """Makes WebSockets, and closes them."""
    made = contextlib.ExitStack()

    def of(certificate=None, path="/rtspoverwebsocket", **options):
        context = ssl.create_default_context(cafile=str(gateway.ca))
        if certificate:
            context.load_cert_chain(*certificate)
        url = f"wss://localhost:{gateway.port}{path}"
        options = {"subprotocols": ["rtsp.onvif.org"], "compression": None} | options
        return made.enter_context(websockets.sync.client.connect(url, ssl=context, **options))

    with made:
        yield of


def status(message):
    return message.decode().split("\r\n")[0]


def test_the_login_over_websocket_is_inside_rtsp(gateway, web, pki):
    client = web()
    client.send(describe(gateway).encode())
    assert status(client.recv(timeout=5)) == "RTSP/1.0 401 Unauthorized"
    client.send(describe(gateway, "guard:wrong password", 2).encode())
    assert status(client.recv(timeout=5)) == "RTSP/1.0 401 Unauthorized"
    assert client.ping().wait(5)
    client.send(describe(gateway, f"guard:{PASSWORD}", 3).encode())
    assert status(client.recv(timeout=5)) == "RTSP/1.0 200 OK"
    client = web(certificate=(pki.cert, pki.key))
    client.send(describe(gateway).encode())
    assert status(client.recv(timeout=5)) == "RTSP/1.0 200 OK"


def test_websockets_that_are_not_ours_are_refused(web):
    for code, options in [
        (404, {"path": "/"}),
        (400, {"subprotocols": ["chat"]}),
        (403, {"origin": "https://page.example"}),
    ]:
        with pytest.raises(InvalidStatus) as refused:
            web(**options)
        assert refused.value.response.status_code == code


@pytest.mark.parametrize("code, send", [
    (1003, lambda client: client.send("OPTIONS * RTSP/1.0")),
    # The head of a frame of 90,000 bytes: what follows it would meet a closed socket.
    (1009, lambda client: client.socket.sendall(b"\x82\xff" + (90_000).to_bytes(8, "big") + bytes(4))),
    (1008, lambda client: [client.pong() for _ in range(11)]),
])
def test_a_broken_websocket_is_closed_with_its_reason(code, send, web):
    client = web()
    with pytest.raises(ConnectionClosed) as closed:
        send(client)
        client.recv(timeout=5)
    assert closed.value.rcvd.code == code


def test_a_silent_websocket_is_cut_in_time(web):
    began = time.monotonic()
    with pytest.raises(ConnectionClosed):
        web(ping_interval=None).recv(timeout=20)
    assert 4 < time.monotonic() - began < 8
