#!/usr/bin/python3
"""Play a Camlock stream with GStreamer, verifying the gateway's certificate.

    play_gst.py --ca CA.pem --user USER --password PASSWORD rtsps://HOST:PORT/camera/profile
    play_gst.py --ca CA.pem --cert ME.pem --key ME.key rtsps://HOST:PORT/camera/profile

Needs Debian's python3-gi, gir1.2-gst-plugins-base-1.0 and the GStreamer plugin packages good, bad and libav.
gst-launch-1.0 cannot be given a CA for rtsps; these few lines can. `--pictures N` decodes N pictures without
a window and prints how many came (exit 0 if all did).
"""
import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gio, GLib, Gst  # noqa: E402


class ClientCertificate(Gio.TlsInteraction):
    """Hands our certificate to the gateway when it asks for one."""

    def __init__(self, cert, key):
        super().__init__()
        self.certificate = Gio.TlsCertificate.new_from_files(cert, key)

    def do_request_certificate(self, connection, flags, cancellable):
        connection.set_certificate(self.certificate)
        return Gio.TlsInteractionResult.HANDLED


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--ca", required=True, help="the gateway's CA certificate, PEM")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--cert", help="client certificate, PEM")
    parser.add_argument("--key", help="its key, PEM")
    parser.add_argument("--onvif-mode", action="store_true", help="ask as an ONVIF client does (rtspsrc's onvif-mode)")
    parser.add_argument("--pictures", type=int, help="decode that many pictures without a window, then stop")
    parser.add_argument("--gray", help="with --pictures: write WIDTH HEIGHT, then the luma planes, to this file")
    parser.add_argument("--sound", help="with --pictures: write the sound as 16-bit mono samples to this file")
    parser.add_argument("--seconds", type=int, default=60, help="with --pictures: give up after this time")
    return parser.parse_args()


def main():
    args = arguments()
    Gst.init(None)
    loop = GLib.MainLoop()
    pipeline = Gst.Pipeline.new()
    source = Gst.ElementFactory.make("rtspsrc")
    source.set_property("location", args.url)
    Gst.util_set_object_arg(source, "protocols", "tcp+tls")
    source.set_property("latency", 200)
    source.set_property("onvif-mode", args.onvif_mode)
    source.set_property("tls-database", Gio.TlsFileDatabase.new(args.ca))
    if args.user:
        source.set_property("user-id", args.user)
        source.set_property("user-pw", args.password)
    if args.cert:
        interaction = ClientCertificate(args.cert, args.key)
        source.set_property("tls-interaction", interaction)
    pipeline.add(source)
    state = {"pictures": 0, "sound": 0, "error": None, "gray": None, "audio": None}

    def finish(error=None):
        state["error"] = state["error"] or error
        loop.quit()
        return False

    def picture(sink):
        sample = sink.emit("pull-sample")
        structure = sample.get_caps().get_structure(0)
        width, height = structure.get_value("width"), structure.get_value("height")
        if args.gray:
            if state["gray"] is None:
                state["gray"] = open(args.gray, "wb")
                state["gray"].write(f"{width} {height}\n".encode())
            data = sample.get_buffer().extract_dup(0, sample.get_buffer().get_size())
            stride = (width + 3) // 4 * 4
            for row in range(height):
                state["gray"].write(data[row * stride : row * stride + width])
        state["pictures"] += 1
        if args.pictures and state["pictures"] >= args.pictures:
            GLib.idle_add(finish)
        return Gst.FlowReturn.OK

    def sound(sink):
        buffer = sink.emit("pull-sample").get_buffer()
        state["sound"] += buffer.get_size()
        if args.sound:
            state["audio"] = state["audio"] or open(args.sound, "wb")
            state["audio"].write(buffer.extract_dup(0, buffer.get_size()))
        return Gst.FlowReturn.OK

    def pad_added(_, pad):
        media = pad.get_current_caps().get_structure(0).get_string("media")
        if args.pictures and media == "video":
            tail = "decodebin ! videoconvert ! video/x-raw,format=GRAY8 ! appsink name=out emit-signals=true sync=false"
        elif args.pictures:
            tail = (
                "decodebin ! audioconvert ! audio/x-raw,format=S16LE,channels=1 ! "
                "appsink name=out emit-signals=true sync=false"
            )
        elif media == "video":
            tail = "decodebin ! videoconvert ! autovideosink"
        else:
            tail = "decodebin ! audioconvert ! audioresample ! autoaudiosink"
        branch = Gst.parse_bin_from_description("queue name=in ! " + tail, False)
        branch.add_pad(Gst.GhostPad.new("sink", branch.get_by_name("in").get_static_pad("sink")))
        out = branch.get_by_name("out")
        if out:
            out.connect("new-sample", picture if media == "video" else sound)
        pipeline.add(branch)
        branch.sync_state_with_parent()
        pad.link(branch.get_static_pad("sink"))

    def message(_, msg):
        if msg.type == Gst.MessageType.ERROR:
            error, detail = msg.parse_error()
            finish(f"{error.message} ({(detail or '').strip().splitlines()[-1]})")
        elif msg.type == Gst.MessageType.EOS:
            finish("the gateway ended the stream")

    def element_added(_, __, element):
        # Left alone, it takes all G.726 for AAL2-G726, whatever the session description says.
        if element.get_factory() and element.get_factory().get_name() == "rtpg726depay":
            element.set_property("force-aal2", False)

    pipeline.connect("deep-element-added", element_added)
    source.connect("pad-added", pad_added)
    bus = pipeline.get_bus()
    bus.add_signal_watch()
    bus.connect("message", message)
    pipeline.set_state(Gst.State.PLAYING)
    if args.pictures:
        GLib.timeout_add_seconds(args.seconds, finish, f"no {args.pictures} pictures in {args.seconds} s")
    try:
        loop.run()
    except KeyboardInterrupt:
        pass
    pipeline.set_state(Gst.State.NULL)
    for file in (state["gray"], state["audio"]):
        if file:
            file.close()
    if state["error"]:
        print(f"error: {state['error']}", file=sys.stderr)
        return 1
    print(f"{state['pictures']} pictures, {state['sound']} bytes of sound")
    return 0


if __name__ == "__main__":
    sys.exit(main())
