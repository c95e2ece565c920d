"""Foreign clients play codecs beside those of test_clients.py: every picture in order, and the beep is a tone.

What was seen goes into docs/clients.md (matrix.py).
"""
import concurrent.futures
import dataclasses
import re
import time

import numpy
import pytest

import matrix
import peers
import players
from conftest import PASSWORD
from players import PICTURES, Access

AT_ONCE = 2


@dataclasses.dataclass(frozen=True)
class Stream:
    """What a path of the camera sends: codecs as the table names them, and the rate of the sound."""

    codecs: tuple
    rate: int


STREAMS = {
    "h264-g726": Stream(("G.726",), 8000),
    "jpeg": Stream(("MJPEG", "L16"), 44_100),
}


def seen(client, path):
    """The codecs of a path that a client can take."""
    return [codec for codec in STREAMS[path].codecs if matrix.TABLES["codecs"].reason(client, codec) is None]


RUNS = [(client, path) for client in players.CLIENTS for path in STREAMS if seen(client, path)]


@pytest.fixture(scope="module")
def camera(work):
    with peers.Camera(work) as camera:
        yield camera


@pytest.fixture(scope="module")
def codecs_gateway(work, guard, camera):
    profiles = {path: (f"/{path}", "always") for path in STREAMS}
    with peers.Gateway(work, guard + peers.camera_toml("cam", camera.port, profiles), "codecs") as gateway:
        for path in STREAMS:
            settled(gateway, f"cam/{path}")
        yield gateway


def settled(gateway, stream, seconds=15):
    """Waits for six seconds of pictures. In the first five the gateway still learns when they were taken, and ffmpeg moves the
    sound by some ms with the next sender report: more than a packet of L16 has."""
    line, deadline = rf'camlock_camera_units_total{{stream="{stream}",kind="Video"}} (\d+)', time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = re.search(line, gateway.page("/metrics"))
        if found and int(found[1]) >= 6 * 25:
            return
        time.sleep(0.1)
    raise AssertionError(f"{stream} does not play:\n{gateway.said()}")


@pytest.fixture(scope="module")
def playing(request, codecs_gateway, work):
    """(client, path) -> future of what was played, of all runs that this session asks for."""
    params = [item.callspec.params for item in request.session.items if item.originalname == "test_codec_plays"]
    asked = [(each["client"], each["path"]) for each in params]
    at = lambda path: Access(codecs_gateway.url(f"cam/{path}"), codecs_gateway.ca, ("guard", PASSWORD))
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        yield {(client, path): pool.submit(players.CLIENTS[client], at(path), work) for client, path in asked}


@pytest.mark.parametrize("client,path", RUNS)
def test_codec_plays(client, path, playing, camera):
    played, stream = playing[client, path].result(), STREAMS[path]
    assert played.status == 0 and complaints(client, played) == "", played.errors
    numbers = played.numbers()
    assert len(numbers) >= PICTURES
    assert peers.consecutive(numbers), numbers
    assert set(numbers) <= set(camera.sent(f"/{path}")), "pictures that the camera did not send"
    if client not in matrix.SILENT:
        assert 0.99 < tone(played.sound, stream.rate) <= 1, "the beep is no tone of 1 kHz"
    for codec in seen(client, path):
        matrix.record("codecs", client=client, codec=codec)


def complaints(client, played):
    """What a client said on its standard error, but for what it says of itself."""
    lines = played.errors.splitlines(keepends=True)
    if client == "rtspsrc onvif-mode":
        # rtpjpegdepay knows its caps with the first picture only; in this mode the segment comes before.
        lines = [line for line in lines if "Sticky event misordering, got 'segment' before 'caps'" not in line]
    return "".join(lines).strip()


def tone(sound, rate):
    """The share of 1 kHz in the loudest 40 ms that begin at a whole multiple of 10 ms."""
    step = rate // 100
    steps = sound[: len(sound) // step * step].reshape(-1, step).astype(float)
    energy = (steps**2).sum(axis=1)
    windows = numpy.convolve(energy, numpy.ones(4), "valid")
    at = int(windows.argmax())
    spectrum = numpy.abs(numpy.fft.rfft(steps[at : at + 4].ravel() * numpy.hanning(4 * step))) ** 2
    frequency = numpy.fft.rfftfreq(4 * step, 1 / rate)
    assert windows[at] > 4 * step * 5000**2 / 2, "no beep in the sound"
    return float(spectrum[abs(frequency - 1000) < 100].sum() / spectrum.sum())
