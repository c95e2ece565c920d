"""How the gateway stops, and how soon it starts: goodbyes to all, held up by nobody.

Times are those of a shared machine: what is asserted has slack, what was measured is printed.
"""
import base64
import contextlib
import re
import secrets
import signal
import socket
import ssl
import time

import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosedOK

import peers
from conftest import PASSWORD
from test_hostile import Hostile

STREAM = "none/h264"
LOGIN = "Basic " + base64.b64encode(f"guard:{PASSWORD}".encode()).decode()
STOP, START, SLACK = 2, 0.2, 2


@pytest.fixture
def stand(work, guard, cameras):
    """A gateway with a real camera, one that writes down what it is told, one that answers nothing once it plays, one
    that says nothing at all, and one that is not there."""
    name = f"stop-{secrets.token_hex(4)}"
    modes = {mode: peers.free_port() for mode in ("reference", "silent_keep_alive", "silent_at_once")}
    config = guard + peers.camera_toml("none", cameras["none"].port, {"h264": ("/h264", "always")})
    for number, port in enumerate([*modes.values(), peers.free_port()]):
        config += peers.camera_toml(f"cam{number}", port, {"main": ("/main", "always")})
    with contextlib.ExitStack() as stack:
        hostile = [
            stack.enter_context(Hostile(work, mode, "127.0.0.1:9", port, tag=name)) for mode, port in modes.items()
        ]
        for camera in hostile:
            camera.first_line("listening")
        gateway = stack.enter_context(peers.Gateway(work, config, name))
        gateway.cameras = hostile
        for stream in (STREAM, "cam0/main", "cam1/main"):
            gateway.wait_health(stream, "playing")
        yield gateway


def stop(gateway):
    """Seconds from the signal to the end."""
    began = time.monotonic()
    gateway.process.send_signal(signal.SIGTERM)
    status = gateway.process.wait(10)
    took = time.monotonic() - began
    assert status == 0, gateway.said()
    assert "panic" not in gateway.said()
    return took


class Reader(peers.Rtsp):
    """Plays; `rest` reads to the end, and fails where TLS was cut off."""

    def __init__(self, gateway, room=None):
        context = ssl.create_default_context(cafile=str(gateway.ca))
        raw = socket.socket()
        raw.settimeout(10)
        if room:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        raw.connect(("127.0.0.1", gateway.port))
        # Without it Python takes the end of TCP for the end of TLS.
        self.socket = context.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False)
        self.file, self.cseq = self.socket.makefile("rb"), 0
        url = gateway.url(STREAM)
        _, answer, _ = self.ask("DESCRIBE", url, Authorization=LOGIN)
        track = answer["content-base"] + "trackID=0"
        transport = "RTP/AVP/TCP;unicast;interleaved=0-1"
        status, answer, _ = self.ask("SETUP", track, Transport=transport, Authorization=LOGIN)
        session = answer["session"].split(";")[0]
        status, _, _ = self.ask("PLAY", url, Session=session, Authorization=LOGIN)
        assert status == 200

    def rest(self):
        return self.file.read()


def marked(frames):
    """Whether the last RTP packet of whole interleaved frames ends a unit."""
    last = False
    while frames:
        assert frames[0] == 0x24 and len(frames) >= 4, "not a frame"
        length = int.from_bytes(frames[2:4], "big")
        assert len(frames) >= 4 + length, "a packet that was cut off"
        if frames[1] == 0:
            last = frames[5] & 0x80 != 0
        frames = frames[4 + length :]
    return last


def test_all_are_told_and_nobody_holds_it_up(stand, work):
    player = [peers.FFMPEG_NEW, "-nostdin", "-loglevel", "warning", *peers.new_ffmpeg_options(stand)]
    player += ["-i", stand.url(STREAM, f"guard:{PASSWORD}"), "-map", "0:v:0", "-c", "copy", "-f", "null", "-"]
    with contextlib.ExitStack() as stack:
        ffmpeg = stack.enter_context(peers.Process(*player))
        deadline = time.monotonic() + 15
        while f'camlock_stream_readers{{stream="{STREAM}"}} 1' not in stand.page("/metrics"):
            assert time.monotonic() < deadline, stand.page("/metrics")
            time.sleep(0.1)
        reader, stuck = Reader(stand), Reader(stand, room=4096)
        web = stack.enter_context(opened_websocket(stand))
        get, post = opened_tunnel(stand)
        time.sleep(1)
        took = stop(stand)
        print(f"stop with a stuck reader and silent cameras: {took:.2f} s")
        assert took < STOP + SLACK

        assert marked(reader.rest()), "a unit that was cut off, or no end of TLS"
        assert get.read() == b"" and post.read() == b"", "the end of TLS on both halves"
        with pytest.raises(ConnectionClosedOK):
            web.recv(timeout=5)
        assert ffmpeg.process.wait(10) == 0
        assert not re.search("(?i)tls|ssl|error", ffmpeg.said()), ffmpeg.said()
        for end in (reader, stuck, get, post):
            end.close()
    told, silent, _ = stand.cameras
    assert b"TEARDOWN rtsp://" in told.received()
    assert b"TEARDOWN rtsp://" in silent.received()


@contextlib.contextmanager
def opened_websocket(gateway):
    context = ssl.create_default_context(cafile=str(gateway.ca))
    url = f"wss://localhost:{gateway.port}/rtspoverwebsocket"
    with websockets.sync.client.connect(url, ssl=context, subprotocols=["rtsp.onvif.org"], compression=None) as web:
        web.send(describe(gateway))
        assert web.recv(timeout=5).startswith(b"RTSP/1.0 200 ")
        yield web


def opened_tunnel(gateway):
    """The files of a GET and a POST with a session's first answer read."""
    context = ssl.create_default_context(cafile=str(gateway.ca))
    cookie = secrets.token_hex(8)

    def half(method):
        raw = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
        half = context.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False)
        half.sendall(f"{method} /{STREAM} HTTP/1.1\r\nx-sessioncookie: {cookie}\r\nHost: localhost\r\n\r\n".encode())
        return half, half.makefile("rb")

    def head(file):
        return b"".join(iter(file.readline, b"\r\n")).decode()

    _, get = half("GET")
    assert head(get).startswith("HTTP/1.0 200 ")
    post, end_of_post = half("POST")
    post.sendall(base64.b64encode(describe(gateway)))
    answer = head(get)
    assert answer.startswith("RTSP/1.0 200 ")
    get.read(int(re.search("(?i)content-length: (.+)", answer)[1]))
    return get, end_of_post


def describe(gateway):
    return f"DESCRIBE {gateway.url(STREAM)} RTSP/1.0\r\nCSeq: 1\r\nAuthorization: {LOGIN}\r\n\r\n".encode()


def test_a_second_signal_ends_it_at_once(stand):
    stuck = Reader(stand, room=4096)
    time.sleep(1)
    began = time.monotonic()
    stand.process.send_signal(signal.SIGINT)
    deadline = began + 5
    # It listens no more: the first signal was heard.
    while True:
        try:
            socket.create_connection(("127.0.0.1", stand.port), timeout=0.1).close()
            assert time.monotonic() < deadline
        except ConnectionRefusedError:
            break
        except (ConnectionResetError, TimeoutError):  # it came while the listener was being closed
            continue
    stand.process.send_signal(signal.SIGTERM)
    assert stand.process.wait(5) == 0
    print(f"second signal: ended {time.monotonic() - began:.2f} s after the first")
    assert "second signal" in stand.said()
    stuck.close()


def test_it_listens_soon_with_two_hundred_cameras(work, guard):
    """Some refuse the connection, some take it and say nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as silent:
        config = guard
        for number in range(200):
            port = silent.getsockname()[1] if number % 2 else peers.free_port()
            profiles = {"main": ("/main", "always"), "sub": ("/sub", "on-demand")}
            config += peers.camera_toml(f"cam{number}", port, profiles, user="admin", password="planted-camera-password")
        # Makes the file and the certificates, and looks at it in passing.
        with peers.Gateway(work, config, "start") as gateway:
            print(f"stop with 200 cameras that never played: {stop(gateway):.2f} s")
        began = time.monotonic()
        with peers.Process(peers.BINARY, "run", "--config", gateway.config) as again:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", gateway.port)).close()
                    break
                except ConnectionRefusedError:
                    assert time.monotonic() - began < 10 and again.alive(), again.said()
                    time.sleep(0.001)
            took = time.monotonic() - began
            print(f"start to first listening with 200 cameras: {took * 1000:.0f} ms")
            assert took < START + SLACK
