"""The n-th read, write or accept of the gateway fails, for each n: it neither panics nor ends, and plays again.

Each n has a gateway of its own with `fault.c` preloaded, so that n counts the calls of the whole process on internet
sockets from its start: the camera, the clients' TLS and media, the admin listener.
A simulated camera sends; clients that take pictures over TLS come until the fault was given, and then one more has to get
pictures. For some n that one is ffmpeg, and decodes them.
"""
import base64
import concurrent.futures
import contextlib
import errno
import os
import socket
import time

import pytest

import peers

MOST, AT_ONCE = 200, 16
ERRORS = {
    "read": [errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH],
    "write": [errno.EPIPE, errno.ECONNRESET, errno.ENOBUFS],
    "accept": [errno.ECONNABORTED, errno.EMFILE, errno.ENOBUFS],
}
GIVEN_WITHIN, BACK_WITHIN = 30, 30


@pytest.fixture(scope="module")
def shim(work):
    library = work / "fault.so"
    compiled = peers.run("gcc", "-shared", "-fPIC", "-O1", "-o", library, peers.HERE / "fault.c")
    assert compiled.returncode == 0, compiled.stderr.decode()
    return library


@pytest.fixture(scope="module")
def camera():
    with peers.Process(peers.BINARY, "simulate", "--silent") as simulator:
        _, port, path = simulator.first_line(r"rtsp://127\.0\.0\.1:(\d+)(/\S*)").group(0, 1, 2)
        yield peers.camera_toml("cam", int(port), {"main": (path, "always")})


def take_pictures(gateway, secret, count):
    """A client from login to the end of so many pictures: the last packet of each has the marker."""
    url = gateway.url("cam/main")
    headers = {"Authorization": "Basic " + base64.b64encode(f"recorder:{secret}".encode()).decode()}
    with contextlib.closing(peers.Rtsp(gateway)) as client:
        assert client.ask("DESCRIBE", url, **headers)[0] == 200
        transport = "RTP/AVP/TCP;unicast;interleaved=0-1"
        status, answer, _ = client.ask("SETUP", f"{url}/trackID=0", Transport=transport, **headers)
        assert status == 200
        assert client.ask("PLAY", url, Session=answer["session"].split(";")[0], **headers)[0] == 200
        while count > 0:
            head = client.file.read(4)
            assert len(head) == 4, "closed"
            packet = client.file.read(int.from_bytes(head[2:], "big"))
            count -= head[1] == 0 and packet[1] >> 7


def connect_often(gateway):
    """Connections that are accepted, and no more."""
    for _ in range(20):
        socket.create_connection(("127.0.0.1", gateway.port), timeout=5).close()


def until(done, seconds, act):
    """Acts, whatever comes of it, until it is done. What went wrong last, if it never is."""
    deadline, wrong = time.monotonic() + seconds, None
    while not done():
        if time.monotonic() > deadline:
            return wrong or "time is up"
        try:
            act()
        except (OSError, AssertionError, ValueError, KeyError) as error:
            wrong = repr(error)
            time.sleep(0.05)
    return None


def fails_once(kind, n, shim, camera, vms, work):
    """What is wrong with a gateway whose n-th call of a kind fails; nothing is best."""
    toml, secret = vms
    name = f"fault-{kind}-{n}"
    given = work / f"{name}.given"
    fault = f"{kind}:{n}:{ERRORS[kind][n % len(ERRORS[kind])]}"
    environment = os.environ | {"LD_PRELOAD": str(shim), "FAULT": fault, "FAULT_LOG": str(given)}
    with peers.Gateway(work, toml + camera, name, env=environment) as gateway:
        act = connect_often if kind == "accept" else lambda gateway: take_pictures(gateway, secret, 20)
        if wrong := until(given.exists, GIVEN_WITHIN, lambda: act(gateway)):
            return f"{fault}: the fault was never given: {wrong}"
        back = []
        if wrong := until(lambda: back, BACK_WITHIN, lambda: back.append(take_pictures(gateway, secret, 3))):
            return f"{fault}: no pictures after it: {wrong}; {gateway.said()[-2000:]}"
        if n % 40 == 1:
            url = gateway.url("cam/main", f"recorder:{secret}")
            played = peers.play_ffmpeg(peers.FFMPEG_NEW, url, 5, work, peers.new_ffmpeg_options(gateway), sound=False)
            if played.status or played.errors:
                return f"{fault}: ffmpeg: {played.errors}"
        ended = gateway.process.poll()
        status, said = gateway.stop(), gateway.said()
        if ended is not None or status != 0 or "panicked" in said:
            return f"{fault}: it ended with {status}: {said[-2000:]}"
    return None


@pytest.mark.parametrize("kind", ERRORS)
def test_any_call_may_fail_once(kind, shim, camera, vms, work):
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        runs = [pool.submit(fails_once, kind, n, shim, camera, vms, work) for n in range(1, MOST + 1)]
    wrong = [run.result() for run in runs]
    assert len(wrong) == MOST and not any(wrong), [text for text in wrong if text][:5]
