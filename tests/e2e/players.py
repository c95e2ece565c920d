"""The clients of docs/clients.md that decode as they play, each run as it would be by its user."""
import dataclasses
import pathlib
import secrets
import sys

import numpy

import peers

HERE = pathlib.Path(__file__).resolve().parent
PICTURES = 100


@dataclasses.dataclass(frozen=True)
class Access:
    """Where and as whom: a URL without login, the CA's file, and a (user, password) or a (certificate, key) or neither.

    `tunnel`: "https" for RTSP over HTTPS, "http" for the same without TLS; the URL's scheme is then rtsp.
    """

    url: str
    ca: pathlib.Path
    login: tuple = None
    certificate: tuple = None
    tunnel: str = None

    @property
    def url_with_login(self):
        scheme, rest = self.url.split("://")
        return f"{scheme}://{':'.join(self.login)}@{rest}" if self.login else self.url

    @property
    def encrypted(self):
        return self.url.startswith("rtsps")

    @property
    def transport(self):
        """What FFmpeg's `rtsp_transport` is called."""
        return self.tunnel or "tcp"

    @property
    def tunnel_ca(self):
        """FFmpeg gives its TLS options to the first connection of a tunnel only; the second looks into the environment."""
        return self.ca if self.tunnel == "https" else None


def ffmpeg_9(access, work):
    options = ["-rtsp_transport", access.transport]
    if access.encrypted:
        options += ["-ca_file", access.ca, "-tls_verify", "1"]
    if access.certificate:
        options += ["-cert_file", access.certificate[0], "-key_file", access.certificate[1]]
    return peers.play_ffmpeg(peers.FFMPEG_NEW, access.url_with_login, PICTURES, work, options, ca=access.tunnel_ca)


def ffmpeg_5(access, work):
    return peers.play_ffmpeg(peers.FFMPEG_OLD, access.url_with_login, PICTURES, work, ["-rtsp_transport", access.transport])


def pyav(access, work):
    return play_script("play_av.py", access.url_with_login, work, *libavformat_options(access), ca=access.tunnel_ca)


def opencv(access, work):
    return play_script("play_cv.py", access.url_with_login, work, *libavformat_options(access), ca=access.tunnel_ca)


def libavformat_options(access):
    options = {"rtsp_transport": access.transport}
    if access.encrypted:
        options |= {"ca_file": access.ca, "tls_verify": "1"}
    if access.certificate:
        options |= {"cert_file": access.certificate[0], "key_file": access.certificate[1]}
    return [f"{name}={value}" for name, value in options.items()]


def rtspsrc(access, work, *options):
    cert, key = access.certificate or (None, None)
    scheme = {None: None, "http": "rtsph", "https": "rtspsh"}[access.tunnel]
    url = access.url.replace("rtsp", scheme, 1) if scheme else access.url
    return peers.play_gstreamer(url, PICTURES, work, access.ca, access.login, cert, key, options=options)


def rtspsrc_onvif(access, work):
    return rtspsrc(access, work, "--onvif-mode")


CLIENTS = {
    "ffmpeg 9": ffmpeg_9,
    "ffmpeg 5.1": ffmpeg_5,
    "PyAV": pyav,
    "OpenCV": opencv,
    "rtspsrc": rtspsrc,
    "rtspsrc onvif-mode": rtspsrc_onvif,
}


def play_script(script, url, work, *options, ca=None):
    """Runs a Python client: it writes grey pictures and 16-bit sound into the files it is given."""
    gray, pcm = work / f"{secrets.token_hex(4)}.gray", work / f"{secrets.token_hex(4)}.pcm"
    done = peers.run(sys.executable, HERE / script, url, PICTURES, gray, pcm, *options, env=peers.trusting(ca))
    read = lambda path: path.read_bytes() if path.exists() else b""
    return peers.Played(peers.pictures(read(gray)), numpy.frombuffer(read(pcm), "<i2"), done.stderr.decode(), done.returncode)
