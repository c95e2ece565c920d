#!/usr/bin/python3
"""A camera of any shape: gst-rtsp-server with clips (clips.py) in a loop, and sound that beeps once a second.

Runs under the system's python3 (PyGObject). Takes a JSON file: path -> {
    "clips":  index files of clips, played one after another; the last repeats. No pictures without it.
    "begin":  the access unit to begin with (0), for a camera that was at work before it was asked
    "late":   seconds that the first picture is late (0); those behind it are not
    "type":   RTP payload type of the pictures (96)
    "sprop":  false: parameter sets stand in band only
    "repeat": false: only where the encoder put them
    "sounds": [{"codec": "alaw" | "aac", "rate", "channels", "type", "samples": of one packet, "hz": of the beep}]
}. Prints `listening PORT` when it serves.
"""
import argparse
import json
import pathlib
import sys
import time

import gi
import numpy

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

# How long a clip with another behind it is repeated.
SCENE = 4
# Pictures that may come before those they are shown behind.
REORDERED = 8
NAMES = {"h264": "H264", "h265": "H265"}


class Clip:
    def __init__(self, path):
        path = pathlib.Path(path)
        index = json.loads(path.read_text())
        self.codec, self.fps, self.units, at = index["codec"], index["fps"], [], 0
        data = path.with_suffix(".bin").read_bytes()
        for size, when in index["units"]:
            self.units.append((data[at : at + size], when))
            at += size


class Pictures:
    """Pushes access units in decode order, each when its turn is; a scene goes on where it is when a client comes back."""

    def __init__(self, clips, begin, late):
        self.clips, self.begin, self.late, self.began = clips, begin, late, None

    def attach(self, source):
        state = {"count": self.begin, "began": None, "clip": None, "base": 0}
        source.connect("need-data", lambda source, _: self.push(source, state))

    def push(self, source, state):
        now = time.monotonic()
        self.began = self.began or now
        state["began"] = state["began"] or now
        scene = min(int((now - self.began) / SCENE), len(self.clips) - 1)
        clip, turn = state["clip"], state["count"] - state["base"]
        if clip is None or (clip is not self.clips[scene] and turn % len(clip.units) == 0):
            clip = state["clip"] = self.clips[scene]
            state["base"], turn = state["count"] - turn % len(clip.units), turn % len(clip.units)
        data, when = clip.units[turn % len(clip.units)]
        due = state["began"] + (state["count"] - self.begin) / clip.fps
        time.sleep(max(0, due - now) + (self.late if state["count"] == self.begin else 0))
        buffer = Gst.Buffer.new_wrapped(data)
        at = state["base"] + turn // len(clip.units) * len(clip.units) + when
        buffer.pts = (at - self.begin + REORDERED) * Gst.SECOND // clip.fps
        state["count"] += 1
        source.emit("push-buffer", buffer)


class Sound:
    """Blocks of 20 ms; the first 50 ms of each second beep."""

    def __init__(self, rate, channels, hz):
        self.rate = rate
        second = numpy.zeros(rate, "<i2")
        beep = rate // 20
        second[:beep] = numpy.sin(2 * numpy.pi * hz * numpy.arange(beep) / rate) * 20000
        block = rate // 50 * 2 * channels
        whole = numpy.repeat(second, channels).tobytes()
        self.blocks = [whole[at : at + block] for at in range(0, len(whole), block)]

    def attach(self, source):
        state = {"count": 0, "began": time.monotonic()}
        source.connect("need-data", lambda source, _: self.push(source, state))

    def push(self, source, state):
        count = state["count"]
        time.sleep(max(0, state["began"] + count / 50 - time.monotonic()))
        buffer = Gst.Buffer.new_wrapped(self.blocks[count % len(self.blocks)])
        buffer.pts, buffer.duration = count * Gst.SECOND // 50, Gst.SECOND // 50
        state["count"] += 1
        source.emit("push-buffer", buffer)


class Stream:
    """One path: its pipeline, and what pushes into it."""

    def __init__(self, shape):
        self.parts, pads, self.feeds = [], 0, {}
        if "clips" in shape:
            clips = [Clip(path) for path in shape["clips"]]
            kind, (sprop, repeat) = shape.get("type", 96), (shape.get(name, True) for name in ("sprop", "repeat"))
            self.parts.append(self.pictures(clips[0].codec, kind, sprop, repeat))
            self.feeds["pictures"] = Pictures(clips, shape.get("begin", 0), shape.get("late", 0))
            pads = 1
        for number, sound in enumerate(shape.get("sounds", [])):
            self.parts.append(self.sound(pads + number, **sound))
            self.feeds[f"sound{pads + number}"] = Sound(sound["rate"], sound["channels"], sound.get("hz", 1000))

    @staticmethod
    def pictures(codec, payload_type, sprop, repeat):
        pay = f"rtp{codec}pay config-interval={-1 if repeat else 0} pt={payload_type}"
        caps = (
            f'"application/x-rtp,media=(string)video,clock-rate=(int)90000,encoding-name=(string){NAMES[codec]},'
            f'payload=(int){payload_type}"'
        )
        pay += " name=pay0" if sprop else f" ! capssetter name=pay0 join=false replace=true caps={caps}"
        return (
            "appsrc name=pictures is-live=true format=time max-bytes=4000000 "
            f"caps=video/x-{codec},stream-format=byte-stream,alignment=au ! {pay}"
        )

    @staticmethod
    def sound(pad, codec, rate, channels, samples=None, hz=1000, **rest):
        source = (
            f"appsrc name=sound{pad} is-live=true format=time max-bytes={rate * channels // 10} "
            f"caps=audio/x-raw,format=S16LE,layout=interleaved,rate={rate},channels={channels}"
        )
        payload_type = rest.get("type", 8 if codec == "alaw" and rate == 8000 else 97 + pad)
        if codec == "aac":
            return f"{source} ! audioconvert ! avenc_aac bitrate=64000 ! rtpmp4gpay name=pay{pad} pt={payload_type}"
        exact = ""
        if samples:
            time = samples * 1_000_000_000 // rate
            exact = f"min-ptime={time} max-ptime={time}"
        return f"{source} ! alawenc ! rtppcmapay name=pay{pad} pt={payload_type} {exact}"

    def mount(self, server, path):
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {' '.join(self.parts)} )")
        factory.set_shared(True)
        factory.connect("media-configure", self.configure)
        server.get_mount_points().add_factory(path, factory)

    def configure(self, _, media):
        pipeline = media.get_element()
        for name, feed in self.feeds.items():
            feed.attach(pipeline.get_by_name(name))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shapes")
    args = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    for path, shape in json.loads(pathlib.Path(args.shapes).read_text()).items():
        Stream(shape).mount(server, path)
    if server.attach(None) == 0:
        sys.exit("no port is free")
    print("listening", server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
