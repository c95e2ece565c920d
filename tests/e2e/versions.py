"""The versions of the clients, as their own programs say them."""
import re
import shutil
import sys

import peers

HEAD = "| client | version | libraries |"


def said(*command):
    done = peers.run(*command)
    return (done.stdout + done.stderr).decode(errors="replace")


def ffmpeg(binary):
    text = said(binary, "-version")
    version = re.search(r"ffmpeg version n?(\S+)", text)[1]
    library = re.search(r"libavformat +([0-9. ]+) /", text)[1].replace(" ", "")
    tls = [name for name, option in (("GnuTLS", "--enable-gnutls"), ("OpenSSL", "--enable-openssl")) if option in text]
    return version, f"libavformat {library}, {' '.join(tls)}"


def pyav():
    code = "import av; print(av.__version__, '.'.join(map(str, av.library_versions['libavformat'])))"
    version, library = said(sys.executable, "-c", code).split()
    return version, f"libavformat {library}"


def opencv():
    code = "import cv2; print(cv2.__version__); print(cv2.getBuildInformation())"
    text = said(sys.executable, "-c", code)
    return text.split()[0], f"libavformat {re.search(r'avformat: +YES .([0-9.]+)', text)[1]}"


def websockets():
    return said(sys.executable, "-c", "import websockets; print(websockets.__version__)").strip(), f"PyAV {pyav()[0]}"


def rtspsrc():
    plugin = re.search(r"Version +(\S+)", said("gst-inspect-1.0", "rtspsrc"))[1]
    return plugin, said("gst-inspect-1.0", "--version").splitlines()[1]


def on_ffmpeg_5(program, package):
    """A program of Debian's that is linked with Debian's libavformat."""
    version = said("dpkg-query", "--showformat", "${Version}", "--show", package)
    assert "libavformat.so.59" in said("ldd", shutil.which(program)), program
    return version, ffmpeg(peers.FFMPEG_OLD)[1]


CLIENTS = {
    "ffmpeg 9": lambda: ffmpeg(peers.FFMPEG_NEW),
    "ffmpeg 5.1": lambda: ffmpeg(peers.FFMPEG_OLD),
    "PyAV": pyav,
    "OpenCV": opencv,
    "rtspsrc": rtspsrc,
    "motion": lambda: on_ffmpeg_5("motion", "motion"),
    "ZoneMinder": lambda: on_ffmpeg_5("zmc", "zoneminder"),
    "websockets": websockets,
}


def table():
    lines = [f"| {name} | {' | '.join(asked())} |" for name, asked in CLIENTS.items()]
    return "\n".join([HEAD, "|---|---|---|", *lines])
