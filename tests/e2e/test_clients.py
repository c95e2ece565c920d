"""Foreign clients play foreign cameras through the gateway: every picture in order, sound beside it."""
import av
import numpy
import pytest

import peers
from conftest import PASSWORD

PICTURES = 100
STREAMS = [f"{login}/{codec}" for login in ("none", "basic", "digest") for codec in ("h264", "h265")]


def ffmpeg_new(gateway, stream, work, pki, vms):
    return peers.play_ffmpeg(
        peers.FFMPEG_NEW, gateway.url(stream, f"guard:{PASSWORD}"), PICTURES, work, peers.new_ffmpeg_options(gateway)
    )


def ffmpeg_new_secret(gateway, stream, work, pki, vms):
    return peers.play_ffmpeg(
        peers.FFMPEG_NEW, gateway.url(stream, f"recorder:{vms[1]}"), PICTURES, work, peers.new_ffmpeg_options(gateway)
    )


def ffmpeg_new_certificate(gateway, stream, work, pki, vms):
    options = peers.new_ffmpeg_options(gateway, pki.cert, pki.key)
    return peers.play_ffmpeg(peers.FFMPEG_NEW, gateway.url(stream), PICTURES, work, options)


def ffmpeg_debian(gateway, stream, work, pki, vms):
    return peers.play_ffmpeg(
        peers.FFMPEG_OLD, gateway.url(stream, f"guard:{PASSWORD}"), PICTURES, work, ["-rtsp_transport", "tcp"]
    )


def gstreamer(gateway, stream, work, pki, vms):
    return peers.play_gstreamer(gateway.url(stream), PICTURES, work, gateway.ca, login=("guard", PASSWORD))


def gstreamer_secret(gateway, stream, work, pki, vms):
    return peers.play_gstreamer(gateway.url(stream), PICTURES, work, gateway.ca, login=("recorder", vms[1]))


def gstreamer_certificate(gateway, stream, work, pki, vms):
    return peers.play_gstreamer(gateway.url(stream), PICTURES, work, gateway.ca, cert=pki.cert, key=pki.key)


def pyav(gateway, stream, work, pki, vms):
    options = {"rtsp_transport": "tcp", "ca_file": str(gateway.ca), "tls_verify": "1"}
    gray, sound = [], []
    with av.open(gateway.url(stream, f"guard:{PASSWORD}"), options=options, timeout=20) as container:
        for frame in container.decode(video=0, audio=0):
            if isinstance(frame, av.VideoFrame):
                gray.append(frame.to_ndarray(format="gray"))
            else:
                sound.append(frame.to_ndarray().reshape(-1))
            if len(gray) == PICTURES:
                break
    return peers.Played(numpy.stack(gray), numpy.concatenate(sound), "", 0)


CLIENTS = [
    ffmpeg_new, ffmpeg_new_secret, ffmpeg_new_certificate, ffmpeg_debian, pyav, gstreamer, gstreamer_secret,
    gstreamer_certificate,
]


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
def test_plays(client, stream, gateway, cameras, work, pki, vms):
    played = client(gateway, stream, work, pki, vms)
    assert played.status == 0 and played.errors == "", played.errors
    numbers = played.numbers()
    assert len(numbers) >= PICTURES
    assert peers.consecutive(numbers), numbers
    login, codec = stream.split("/")
    sent = set(cameras[login].sent(f"/{codec}"))
    assert set(numbers) <= sent, "pictures that the camera did not send"
    loud = numpy.abs(played.sound.astype(int)) > 5000
    assert loud.sum() > 500, "no beep in the sound"


def test_b_pictures_play(work, guard):
    with peers.Camera(work, bframes=2) as camera:
        config = guard + peers.camera_toml("cam", camera.port, {"main": ("/h264", "always")})
        with peers.Gateway(work, config, "bframes") as gateway:
            gateway.wait_health("cam/main", "playing")
            for binary, options in (
                (peers.FFMPEG_NEW, peers.new_ffmpeg_options(gateway)),
                (peers.FFMPEG_OLD, ["-rtsp_transport", "tcp"]),
            ):
                url = gateway.url("cam/main", f"guard:{PASSWORD}")
                played = peers.play_ffmpeg(binary, url, PICTURES, work, options)
                assert played.status == 0 and played.errors == "", played.errors
                assert peers.consecutive(played.numbers()), played.numbers()
