"""Foreign clients play foreign cameras through the gateway: every picture in order, sound beside it.

Each client plays each codec, and one stream in each way to come in and to log in. They run a few at a time in the
background; each test waits for its own. What was seen goes into docs/clients.md (matrix.py).
"""
import concurrent.futures
import dataclasses

import numpy
import pytest

import matrix
import peers
import players
from conftest import PASSWORD
from players import PICTURES, Access

AT_ONCE = 4
# Stream -> what it is made of.
CODECS = {"none/h264": ("H.264", "A-law"), "none/h265": ("H.265", "µ-law")}
LOGINS = ["password", "generated secret", "client certificate", "Digest only"]
TRANSPORTS = ["RTSPS", "plain RTSP on loopback"]


@dataclasses.dataclass(frozen=True)
class Run:
    """One client plays one stream."""

    client: str
    stream: str = "none/h264"
    login: str = "password"
    transport: str = "RTSPS"

    def __str__(self):
        return "-".join(dataclasses.astuple(self)).replace(" ", "_").replace("/", "_")

    @property
    def sound(self):
        return self.client not in matrix.SILENT

    def ways(self):
        yield "logins", {"client": self.client, "login": self.login}
        yield "transports", {"client": self.client, "transport": self.transport}

    def cells(self):
        yield from self.ways()
        for codec in CODECS.get(self.stream, ()):
            if self.sound or codec not in matrix.SOUND:
                yield "codecs", {"client": self.client, "codec": codec}

    def possible(self):
        return all(matrix.TABLES[table].reason(*keys.values()) is None for table, keys in self.ways())


RUNS = [Run(client, stream) for client in players.CLIENTS for stream in CODECS]
RUNS += [Run(client, login=login) for client in players.CLIENTS for login in LOGINS[1:]]
RUNS += [Run(client, login="Digest only", transport="plain RTSP on loopback") for client in players.CLIENTS]
# Cameras that ask for a login themselves: no matter of the client.
RUNS += [Run("ffmpeg 9", f"{camera}/{codec}") for camera in ("basic", "digest") for codec in ("h264", "h265")]
RUNS = [run for run in RUNS if run.possible()]


@pytest.fixture(scope="module")
def digest_gateway(work, vms, cameras):
    """Offers nothing but Digest, and RTSP without TLS on loopback."""
    plain = peers.free_port()
    config = vms[0] + peers.camera_toml("none", cameras["none"].port, {"h264": ("/h264", "always")})
    rtsp = f'plain_listen = ["127.0.0.1:{plain}"]\nlogin = ["digest-md5"]\n'
    with peers.Gateway(work, config, "digest-only", rtsp) as gateway:
        gateway.wait_health("none/h264", "playing")
        gateway.plain = plain
        yield gateway


@pytest.fixture(scope="module")
def access(gateway, digest_gateway, pki, vms):
    """Run -> Access."""
    secret = ("recorder", vms[1])

    def of(run):
        at = digest_gateway if run.login == "Digest only" else gateway
        url = at.url(run.stream)
        if run.transport == "plain RTSP on loopback":
            url = f"rtsp://127.0.0.1:{at.plain}/{run.stream}"
        login = {"password": ("guard", PASSWORD), "client certificate": None}.get(run.login, secret)
        certificate = (pki.cert, pki.key) if run.login == "client certificate" else None
        return Access(url, at.ca, login, certificate)

    return of


@pytest.fixture(scope="module")
def playing(request, access, work):
    """Run -> future of what was played, of all runs that this session asks for."""
    asked = [item.callspec.params["run"] for item in request.session.items if item.originalname == "test_plays"]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        yield {run: pool.submit(players.CLIENTS[run.client], access(run), work) for run in asked}


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_plays(run, playing, cameras):
    check(playing[run].result(), run, cameras)
    for table, keys in run.cells():
        matrix.record(table, **keys)


def check(played, run, cameras):
    assert played.status == 0 and played.errors == "", played.errors
    numbers = played.numbers()
    assert len(numbers) >= PICTURES
    assert peers.consecutive(numbers), numbers
    camera, path = run.stream.split("/")
    sent = set(cameras[camera].sent(f"/{path}"))
    assert set(numbers) <= sent, "pictures that the camera did not send"
    if not run.sound:
        return
    loud = numpy.abs(played.sound.astype(int)) > 5000
    assert loud.sum() > 500, "no beep in the sound"


def test_b_pictures_play(work, guard):
    with peers.Camera(work, bframes=2) as camera:
        config = guard + peers.camera_toml("cam", camera.port, {"main": ("/h264", "always")})
        with peers.Gateway(work, config, "bframes") as gateway:
            gateway.wait_health("cam/main", "playing")
            access = Access(gateway.url("cam/main"), gateway.ca, ("guard", PASSWORD))
            for play in (players.ffmpeg_9, players.ffmpeg_5):
                played = play(access, work)
                assert played.status == 0 and played.errors == "", played.errors
                assert peers.consecutive(played.numbers()), played.numbers()
