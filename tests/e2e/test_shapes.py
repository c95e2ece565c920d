"""Every shape of stream goes from a foreign encoder and camera to a foreign client: each picture in order, each sound's beep.

The encoders are those of ffmpeg (x264, x265, AAC) and GStreamer, the camera is gst-rtsp-server (clip_camera.py), the shapes
stand in shapes.py. The clients run a few at a time in the background; each test waits for its own.
"""
import concurrent.futures
import json
import secrets
import time

import numpy
import pytest

import clips
import matrix
import peers
from conftest import PASSWORD
from shapes import SECONDS, SHAPES, Shape

AT_ONCE = 4


def ffmpeg_9(shape, gateway, folder):
    command = [peers.FFMPEG_NEW, "-nostdin", "-hide_banner", "-loglevel", "error", *peers.new_ffmpeg_options(gateway)]
    command += ["-i", gateway.url(stream(shape), f"guard:{PASSWORD}")]
    if shape.codec:
        command += ["-map", "0:v:0", "-frames:v", shape.pictures, *peers.every_picture(peers.FFMPEG_NEW)]
        command += ["-vf", "crop=640:360:0:0", "-pix_fmt", "gray", "-f", "rawvideo", folder / "gray"]
    for number in range(len(shape.sounds)):
        command += ["-map", f"0:a:{number}", "-t", SECONDS, "-ac", "1", "-f", "s16le", folder / f"sound{number}"]
    return peers.run(*command)


def rtspsrc(shape, gateway, folder):
    return peers.run(
        peers.SYSTEM_PYTHON, peers.HERE / "play_gst_tracks.py", gateway.url(stream(shape)), "guard", PASSWORD, gateway.ca,
        shape.pictures if shape.codec else 0, SECONDS, folder,
    )


CLIENTS = {"ffmpeg 9": ffmpeg_9, "rtspsrc": rtspsrc}
RUNS = [(shape, client) for shape in SHAPES for client in CLIENTS]


def stream(shape):
    return f"{shape.slug}/main"


@pytest.fixture(scope="module")
def gateway(work, guard):
    """The gateway in front of one camera of many streams, each pulled when it is asked for."""
    folder = work / "shapes"
    folder.mkdir()
    described = folder / "shapes.json"
    streams = {f"/{shape.slug}": shape.describe(folder) for shape in SHAPES}
    sizes = {width: clips.encode("h264", 25, width=width) for width in (640, 1280)}
    streams["/resized"] = {"clips": [str(clips.save(folder, f"wide{w}", "h264", units)) for w, units in sizes.items()]}
    described.write_text(json.dumps(streams))
    with peers.Process(peers.SYSTEM_PYTHON, peers.HERE / "clip_camera.py", described) as camera:
        port = int(camera.first_line(r"listening (\d+)")[1])
        config = guard
        for path in streams:
            config += peers.camera_toml(path[1:], port, {"main": (path, "on-demand")})
        with peers.Gateway(work, config, "shapes") as gateway:
            yield gateway


@pytest.fixture(scope="module")
def playing(request, gateway, work):
    """(shape, client) -> future of (what the client did, the folder it wrote to), of all that this session asks for."""
    asked = [item.callspec.params["run"] for item in request.session.items if item.originalname == "test_shape_plays"]

    def play(run):
        folder = work / f"shape-{secrets.token_hex(4)}"
        folder.mkdir()
        return CLIENTS[run[1]](run[0], gateway, folder), folder

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        yield {run: pool.submit(play, run) for run in asked}


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run[0].slug}-{run[1].replace(' ', '_')}")
def test_shape_plays(run, playing):
    shape, client = run
    done, folder = playing[run].result()
    errors = done.stderr.decode()
    assert done.returncode == 0 and errors == "", errors
    if shape.codec:
        numbers = seen(folder)
        assert len(numbers) == shape.pictures
        assert peers.consecutive(numbers, shape.count), numbers
    for number in range(len(shape.sounds)):
        check_sound(numpy.frombuffer((folder / f"sound{number}").read_bytes(), "<i2"), shape.sounds[number], number)
    matrix.record("shapes", shape=shape.name, client=client)


def check_sound(samples, sound, number):
    """As long as it should be, and a beep of the track's own pitch in each second."""
    rate = sound["rate"]
    assert len(samples) >= (SECONDS - 0.1) * rate
    loud = (numpy.abs(samples.astype(int)) > 8000).astype(int)
    # The whole of a beep: the first may have begun before the client.
    density = numpy.convolve(loud, numpy.ones(rate // 40, int), "valid")
    assert density.max() > rate // 100, "no beep"
    beep = samples[density.argmax() :][: rate // 40].astype(int)
    pitch = numpy.count_nonzero(numpy.diff(numpy.sign(beep)) > 0) * 40
    assert abs(pitch - 1000 * (number + 1)) < 200, pitch


def test_a_late_reader_gets_the_current_group_of_10_s_at_once(gateway, work):
    """It begins at picture 0 while the camera is far behind that, and does not wait for the key frame 250."""
    shape = next(shape for shape in SHAPES if shape.name == "H.264, key frame every 10 s")
    url = gateway.url(stream(shape), f"guard:{PASSWORD}")
    options = peers.new_ffmpeg_options(gateway)
    with peers.Process(peers.FFMPEG_NEW, "-nostdin", "-loglevel", "error", *options, "-i", url, "-t", 20, "-f", "null", "-"):
        gateway.wait_health(stream(shape), "playing")
        time.sleep(4)
        begun = time.monotonic()
        played = peers.play_ffmpeg(peers.FFMPEG_NEW, url, 75, work, options, sound=False)
        took = time.monotonic() - begun
    assert played.status == 0 and played.errors == "", played.errors
    assert played.numbers() == list(range(75))
    # The next key frame comes 6 s after the reader.
    assert took < 5, f"{took} s for what was there already"


def test_a_new_picture_size_ends_the_readers_and_plays_when_they_come_back(gateway, work):
    """The camera changes its size at a key frame after 4 s; a client is told by the end of the stream."""
    def play(pictures):
        folder = work / f"resized-{pictures}"
        folder.mkdir()
        done = ffmpeg_9(Shape("resized", "h264", count=25, pictures=pictures), gateway, folder)
        return done, seen(folder)

    done, numbers = play(1000)
    assert done.returncode == 0 and 75 <= len(numbers) < 1000 and peers.consecutive(numbers, 25), done.stderr
    gateway.wait_health("resized/main", "playing")
    assert gateway.page("/metrics").count('reason="format_changed"') == 1
    done, numbers = play(50)
    assert done.returncode == 0 and done.stderr == b"", done.stderr
    assert len(numbers) == 50 and peers.consecutive(numbers, 25), numbers


def seen(folder):
    """The numbers of the pictures that a client wrote."""
    return peers.Played(peers.pictures((folder / "gray").read_bytes()), None, "", 0).numbers()
