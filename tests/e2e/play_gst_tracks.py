#!/usr/bin/python3
"""GStreamer as a client of any number of tracks: play_gst_tracks.py URL USER PASSWORD CA PICTURES SECONDS FOLDER

Decodes PICTURES pictures (0: none are there) into FOLDER/gray, cut to 640x360, and SECONDS of each sound into FOLDER/sound0,
FOLDER/sound1, ... in the order of the session description. Every warning of an element is a failure.
"""
import pathlib
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gio, GLib, Gst  # noqa: E402

TAILS = {
    "video": "decodebin ! videoconvert ! video/x-raw,format=GRAY8",
    "audio": "decodebin ! audioconvert ! audio/x-raw,format=S16LE,channels=1",
}
WIDTH, HEIGHT = 640, 360


class Player:
    def __init__(self, url, user, password, ca, pictures, seconds, folder):
        self.pictures, self.seconds, self.folder = int(pictures), float(seconds), pathlib.Path(folder)
        self.loop, self.pipeline, self.error, self.open = GLib.MainLoop(), Gst.Pipeline.new(), None, {}
        source = Gst.ElementFactory.make("rtspsrc")
        for name, value in (("location", url), ("latency", 200), ("user-id", user), ("user-pw", password)):
            source.set_property(name, value)
        Gst.util_set_object_arg(source, "protocols", "tcp+tls")
        source.set_property("tls-database", Gio.TlsFileDatabase.new(ca))
        source.connect("pad-added", self.track)
        source.connect("no-more-pads", lambda _: GLib.idle_add(self.end_if_done))
        self.known = False
        source.connect("no-more-pads", lambda _: setattr(self, "known", True))
        self.pipeline.add(source)
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message", self.message)

    def track(self, _, pad):
        caps = pad.get_current_caps().get_structure(0)
        media, number = caps.get_string("media"), int(pad.get_name().split("_")[3])
        tail = f"queue name=in ! {TAILS[media]} ! appsink name=out emit-signals=true sync=false"
        branch = Gst.parse_bin_from_description(tail, False)
        branch.add_pad(Gst.GhostPad.new("sink", branch.get_by_name("in").get_static_pad("sink")))
        self.open[number] = {"media": media, "data": bytearray(), "left": self.pictures if media == "video" else self.seconds}
        branch.get_by_name("out").connect("new-sample", self.sample, self.open[number])
        self.pipeline.add(branch)
        branch.sync_state_with_parent()
        pad.link(branch.get_static_pad("sink"))

    def sample(self, sink, track):
        sample = sink.emit("pull-sample")
        data = sample.get_buffer().extract_dup(0, sample.get_buffer().get_size())
        caps = sample.get_caps().get_structure(0)
        if track["left"] <= 0:
            return Gst.FlowReturn.OK
        if track["media"] == "video":
            stride = (caps.get_value("width") + 3) // 4 * 4
            for row in range(HEIGHT):
                track["data"] += data[row * stride : row * stride + WIDTH]
            track["left"] -= 1
        else:
            track["data"] += data
            track["left"] -= len(data) / 2 / caps.get_value("rate")
        GLib.idle_add(self.end_if_done)
        return Gst.FlowReturn.OK

    def end_if_done(self):
        if self.known and all(track["left"] <= 0 for track in self.open.values()):
            self.loop.quit()
        return False

    def message(self, _, message):
        if message.type == Gst.MessageType.EOS:
            self.loop.quit()
        elif message.type in (Gst.MessageType.ERROR, Gst.MessageType.WARNING):
            error, detail = message.parse_error() if message.type == Gst.MessageType.ERROR else message.parse_warning()
            self.error = f"{error.message} ({detail})"
            self.loop.quit()

    def run(self):
        self.pipeline.set_state(Gst.State.PLAYING)
        GLib.timeout_add_seconds(40, self.loop.quit)
        self.loop.run()
        self.pipeline.set_state(Gst.State.NULL)
        sounds = 0
        for _, track in sorted(self.open.items()):
            name = "gray" if track["media"] == "video" else f"sound{sounds}"
            sounds += track["media"] == "audio"
            (self.folder / name).write_bytes(track["data"])
        if self.error:
            sys.exit(f"error: {self.error}")


if __name__ == "__main__":
    Gst.init(None)
    Player(*sys.argv[1:]).run()
