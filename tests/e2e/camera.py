#!/usr/bin/python3
"""A real camera stack for the tests: gst-rtsp-server with numbered pictures and a beep with each flash.

Runs under the system's python3 (PyGObject). Prints `listening PORT` when it serves. Every picture carries its number as a
bar code (`barcode.py`), counted from the start of the media; every tenth of a second the number of the newest picture
goes to the file given by --sent, one a line. Once a second a picture flashes white in its lower half
while a tone of 50 ms sounds.
"""
import argparse
import os
import sys

import gi
import numpy

gi.require_version("Gio", "2.0")
gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import barcode  # noqa: E402

WIDTH, HEIGHT, FPS, RATE = 640, 360, 25, 8000
BEEP = (numpy.sin(2 * numpy.pi * 1000 * numpy.arange(RATE // 20) / RATE) * 20000).astype("<i2")


def picture(number):
    """One I420 picture: bar code on top, a moving ramp, a flash once a second."""
    luma = numpy.full((HEIGHT, WIDTH), 64, numpy.uint8)
    luma[120:200, :] = ((numpy.arange(WIDTH) + number * 4) % 160 + 40).astype(numpy.uint8)
    if number % FPS == 0:
        luma[220:, :] = 235
    barcode.draw(luma, number)
    return luma.tobytes() + bytes([128]) * (WIDTH * HEIGHT // 2)


class Feed:
    """Pushes pictures and sound of one media, on one timeline: picture n begins at n / FPS."""

    def __init__(self, media, sent):
        self.number, self.block, self.sent = 0, 0, sent
        bin_ = media.get_element()
        video, audio = bin_.get_by_name("video"), bin_.get_by_name("audio")
        video.connect("need-data", self.need_picture)
        if audio:
            audio.connect("need-data", self.need_sound)

    def need_picture(self, source, _):
        buffer = Gst.Buffer.new_wrapped(picture(self.number))
        buffer.pts = self.number * Gst.SECOND // FPS
        buffer.duration = Gst.SECOND // FPS
        if self.sent:
            self.sent.write(f"{self.number}\n")
            self.sent.flush()
        self.number += 1
        source.emit("push-buffer", buffer)

    def need_sound(self, source, _):
        """Blocks of 20 ms; the first 50 ms of each second beep."""
        samples = numpy.zeros(RATE // 50, "<i2")
        at = (self.block * len(samples)) % RATE
        if at < len(BEEP):
            part = BEEP[at : at + len(samples)]
            samples[: len(part)] = part
        buffer = Gst.Buffer.new_wrapped(samples.tobytes())
        buffer.pts = self.block * Gst.SECOND // 50
        buffer.duration = Gst.SECOND // 50
        self.block += 1
        source.emit("push-buffer", buffer)


def launches(args):
    video = (
        "appsrc name=video is-live=true format=time block=true max-bytes=700000 caps=video/x-raw,format=I420,"
        f"width={WIDTH},height={HEIGHT},framerate={FPS}/1 ! identity sync=true ! "
    )
    sound = (
        " appsrc name=audio is-live=true format=time block=true max-bytes=2000 "
        f"caps=audio/x-raw,format=S16LE,layout=interleaved,rate={RATE},channels=1 ! identity sync=true ! "
    )
    alaw = sound + "alawenc ! rtppcmapay name=pay1 pt=8"
    mulaw = sound + "mulawenc ! rtppcmupay name=pay1 pt=0"
    g726 = sound + "avenc_g726 bitrate=32000 ! rtpg726pay name=pay1 pt=98 force-aal2=false"
    l16 = sound + "audioresample ! audioconvert ! audio/x-raw,rate=44100,channels=2 ! rtpL16pay name=pay1 pt=10"
    h264 = (
        f"x264enc speed-preset=ultrafast bitrate=600 key-int-max={FPS} sliced-threads=false threads=1 bframes={args.bframes} "
        f"b-adapt=false {'' if args.bframes else 'tune=zerolatency'} ! video/x-h264,profile={'main' if args.bframes else 'baseline'}"
        " ! rtph264pay name=pay0 pt=96 config-interval=-1"
    )
    h265 = (
        f"x265enc speed-preset=ultrafast tune=zerolatency bitrate=600 key-int-max={FPS} ! "
        "rtph265pay name=pay0 pt=97 config-interval=-1"
    )
    return {
        "/h264": f"( {video}{h264}{alaw} )",
        "/h265": f"( {video}{h265}{mulaw} )",
        "/h264-g726": f"( {video}{h264}{g726} )",
        "/h264-l16": f"( {video}{h264}{l16} )",
        "/jpeg": f"( {video}jpegenc ! rtpjpegpay name=pay0 pt=26{l16} )",
    }


def login(server, args):
    if args.auth == "none" and not args.tls:
        return None
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth = GstRtspServer.RTSPAuth()
    if args.tls:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(args.tls))
    if args.auth == "none":
        auth.set_default_token(token)
    elif args.auth == "basic":
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(args.user, args.password), token)
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
    else:
        auth.add_digest(args.user, args.password, token)
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("user", "media.factory.access", True)
    permissions.add_permission_for_role("user", "media.factory.construct", True)
    return permissions


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", default="0")
    parser.add_argument("--auth", choices=["none", "basic", "digest"], default="none")
    parser.add_argument("--user", default="admin")
    parser.add_argument("--password", default="camera-password")
    parser.add_argument("--bframes", type=int, default=0)
    parser.add_argument("--tls", help="PEM file with certificate and key: RTSP over TLS alone")
    parser.add_argument("--sent", help="file for the numbers of the pictures made")
    args = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address(args.address)
    server.set_service(args.port)
    permissions = login(server, args)
    feeds = []
    for path, launch in launches(args).items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(launch)
        factory.set_shared(True)
        factory.set_latency(50)
        sent = open(args.sent + path.replace("/", "."), "w") if args.sent else None
        factory.connect("media-configure", lambda _, media, sent=sent: feeds.append(Feed(media, sent)))
        if permissions:
            factory.set_permissions(permissions)
        server.get_mount_points().add_factory(path, factory)
    if server.attach(None) == 0:
        sys.exit(f"port {args.port} is taken")
    print("listening", server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
