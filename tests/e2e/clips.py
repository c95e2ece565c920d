"""Short clips of numbered pictures, coded by ffmpeg's libraries (x264, x265): what `clip_camera.py` plays in a loop.

A clip is two files: `NAME.bin` with the access units one after another (Annex B, parameter sets before each key frame), and
`NAME.json` with the codec, the pictures a second, and [bytes, presentation time in pictures] of each unit.
"""
import fractions
import functools
import json

import av
import numpy

import barcode

WIDTH, HEIGHT = 640, 360
# One thread each: many sliced threads make slices, and other tests want the machine too.
X264 = "threads=1:sliced-threads=0:scenecut=0:keyint={gop}:min-keyint=1:bframes={b}:b-adapt=0:"
X265 = "pools=none:frame-threads=1:scenecut=0:keyint={gop}:min-keyint=1:bframes={b}:b-adapt=0:log-level=none:"


def picture(number, width=WIDTH, height=HEIGHT, noise_rows=0):
    """I420: the bar code on top, a moving ramp, noise that stands still at the bottom."""
    luma = numpy.full((height, width), 64, numpy.uint8)
    luma[120:200, :] = ((numpy.arange(width) + number * 4) % 160 + 40).astype(numpy.uint8)
    if noise_rows:
        luma[height - noise_rows :] = noise(noise_rows, width)
    barcode.draw(luma, number)
    return numpy.concatenate([luma.reshape(-1), numpy.full(width * height // 2, 128, numpy.uint8)]).reshape(-1, width)


@functools.cache
def noise(rows, width):
    return numpy.random.default_rng(1).integers(16, 236, (rows, width), numpy.uint8)


def encode(codec, count, gop=25, fps=25, b=0, options="", first=0, qp=28, **shape):
    """[(bytes, presentation time in pictures)] of `count` pictures, in decode order."""
    coder = av.CodecContext.create({"h264": "libx264", "h265": "libx265"}[codec], "w")
    coder.pix_fmt = "yuv420p"
    coder.width, coder.height = shape.get("width", WIDTH), shape.get("height", HEIGHT)
    coder.time_base, coder.framerate = fractions.Fraction(1, fps), fps
    usual = (X264 if codec == "h264" else X265).format(gop=gop, b=b)
    coder.options = {"preset": "ultrafast", {"h264": "x264-params", "h265": "x265-params"}[codec]: f"{usual}qp={qp}:{options}"}
    units = []
    for number in [*range(first, first + count), None]:
        frame = None
        if number is not None:
            frame = av.VideoFrame.from_ndarray(picture(number, **shape), format="yuv420p")
            frame.pts = number - first
        units += [(bytes(packet), packet.pts) for packet in coder.encode(frame)]
    assert len(units) == count
    return units


def save(folder, name, codec, units, fps=25):
    (folder / f"{name}.bin").write_bytes(b"".join(data for data, _ in units))
    index = {"codec": codec, "fps": fps, "units": [[len(data), time] for data, time in units]}
    (folder / f"{name}.json").write_text(json.dumps(index))
    return folder / f"{name}.json"
