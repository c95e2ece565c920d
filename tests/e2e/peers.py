"""What the end-to-end tests stand on: the gateway, cameras, certificates and foreign clients as processes."""
import contextlib
import json
import os
import pathlib
import random
import re
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import imageio_ffmpeg
import numpy

import barcode

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BINARY = pathlib.Path(os.environ.get("CAMLOCK_BIN", ROOT / "target/release/camlock"))
SYSTEM_PYTHON = "/usr/bin/python3"
FFMPEG_NEW = imageio_ffmpeg.get_ffmpeg_exe()
FFMPEG_OLD = "/usr/bin/ffmpeg"
WIDTH, HEIGHT = 640, 360


def run(*command, timeout=60, **options):
    """Runs a command to its end; the time limit is a failure."""
    return subprocess.run([str(c) for c in command], capture_output=True, timeout=timeout, **options)


class Process:
    """A child that ends with the test."""

    def __init__(self, *command, **options):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [str(c) for c in command], stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL, **options
        )

    def first_line(self, pattern, seconds=20):
        """Reads standard output up to the first line that matches."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            line = self.process.stdout.readline().decode()
            if not line:
                break
            found = re.search(pattern, line)
            if found:
                return found
        raise AssertionError(f"no line like {pattern!r}; it said:\n{self.said()}")

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def alive(self):
        return self.process.poll() is None

    def stop(self, how=signal.SIGTERM, seconds=10):
        if self.alive():
            self.process.send_signal(how)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"did not end within {seconds} s of {how.name}")
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.alive():
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


GIVEN = set()
# Each worker of pytest-xdist has ports of its own.
WORKER, WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))


def free_port():
    """A port that was free a moment ago: below those that the kernel gives to connections, and none twice."""
    for port in random.sample(range(20_000 + WORKER, 32_000, WORKERS), 1000):
        if port in GIVEN:
            continue
        GIVEN.add(port)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port")


class Camera(Process):
    """gst-rtsp-server with numbered pictures."""

    def __init__(self, work, auth="none", port=0, bframes=0, tls=None, address="127.0.0.1"):
        self.auth, self.sent_base = auth, work / f"sent-{secrets.token_hex(4)}"
        self.user, self.password = "admin", "planted-camera-password"
        super().__init__(
            SYSTEM_PYTHON, HERE / "camera.py", "--auth", auth, "--address", address, "--port", port,
            "--bframes", bframes,
            "--user", self.user, "--password", self.password, "--sent", self.sent_base,
            *(["--tls", tls] if tls else []),
        )
        self.port = int(self.first_line(r"listening (\d+)")[1])

    def sent(self, path):
        """The numbers of the pictures made so far, in order."""
        text = pathlib.Path(f"{self.sent_base}.{path.strip('/')}").read_text()
        return [int(n) for n in text.split("\n")[:-1]]


class Pki:
    """A client CA with one certificate, made with the openssl command: a third party's."""

    def __init__(self, work):
        self.ca, self.cert, self.key = work / "clients-ca.pem", work / "vms.pem", work / "vms.key"
        self.other_ca = work / "other-ca.pem"
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
        for ca, key in ((self.ca, work / "clients-ca.key"), (self.other_ca, work / "other-ca.key")):
            self.openssl("req", "-x509", *curve, "-subj", "/CN=client CA", "-keyout", key, "-out", ca)
        self.openssl("req", *curve[:-2], "-subj", "/CN=vms", "-keyout", self.key, "-out", work / "vms.csr")
        (work / "ext").write_text("extendedKeyUsage=clientAuth\nbasicConstraints=CA:FALSE\n")
        self.openssl(
            "x509", "-req", "-in", work / "vms.csr", "-CA", self.ca, "-CAkey", work / "clients-ca.key",
            "-CAcreateserial", "-days", "30", "-extfile", work / "ext", "-out", self.cert,
        )

    @staticmethod
    def openssl(*arguments):
        done = run("openssl", *arguments)
        assert done.returncode == 0, done.stderr.decode()


class Gateway(Process):
    """`camlock run` with a configuration text behind the usual head; `rtsp` and `own` go into [rtsp] and [gateway].

    `ready`: whether it is to be ready at once.
    """

    host = "127.0.0.1"

    def __init__(self, work, config, name="gateway", rtsp="", own="", ready=True, **options):
        self.state = work / f"{name}-state"
        self.state.mkdir(exist_ok=True)
        self.port, self.admin_port, self.token = free_port(), free_port(), secrets.token_hex(16)
        self.config = work / f"{name}.toml"
        self.config.write_text(
            f'[gateway]\nstate_dir = "{self.state}"\nnames = ["localhost", "{self.host}"]\n{own}'
            f'[rtsp]\nlisten = ["{self.host}:{self.port}"]\n{rtsp}'
            f'[admin]\nlisten = "127.0.0.1:{self.admin_port}"\ntoken = "{self.token}"\n' + config
        )
        super().__init__(*self.command(), **options)
        self.ca = self.state / "ca.pem"
        if ready:
            self.wait_ready()

    def command(self):
        return [BINARY, "run", "--config", self.config]

    def near_admin(self):
        """Where its admin listener is within reach."""
        return contextlib.nullcontext()

    def near_clients(self):
        """Where its clients are."""
        return contextlib.nullcontext()

    def wait_ready(self, seconds=10):
        def ready():
            with contextlib.suppress(OSError):
                return self.readiness()["ready"]

        wait_for(lambda: ready() or not self.alive(), lambda: f"the gateway is not ready:\n{self.said()}", seconds)
        assert self.alive(), self.said()

    def page(self, path):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.admin_port}{path}", headers={"Authorization": f"Bearer {self.token}"}
        )
        with self.near_admin():
            body = urllib.request.urlopen(request, timeout=5).read().decode()
        return body if path == "/metrics" else json.loads(body)

    def readiness(self):
        """The page /readyz, whether it is ready or not."""
        try:
            return self.page("/readyz")
        except urllib.error.HTTPError as unready:
            return json.loads(unready.read())

    def health(self, stream):
        return self.readiness()["streams"][stream]

    def wait_health(self, stream, state, seconds=20):
        why = lambda: f"{stream} is {self.health(stream)}, not {state}:\n{self.said()}"  # noqa: E731
        wait_for(lambda: self.health(stream)["state"] == state, why, seconds)

    def url(self, stream, login=None):
        at = f"{login}@" if login else ""
        return f"rtsps://{at}{self.host}:{self.port}/{stream}"


def wait_for(holds, why, seconds=20):
    """Until `holds()`; `why` (a text or a function) goes into the failure."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, why() if callable(why) else why
        time.sleep(0.05)


def password_hash(password):
    done = run(BINARY, "hash-password", input=password.encode() + b"\n")
    assert done.returncode == 0, done.stderr
    return re.search(r"password_hash = \"(.+)\"", done.stdout.decode())[1]


def camera_toml(name, port, profiles, user=None, password=None, basic=False, tls=None):
    """A `[[camera]]` entry; profiles: name -> (path, start)."""
    lines = ["[[camera]]", f'name = "{name}"', f'address = "127.0.0.1:{port}"']
    if user:
        lines += [f'user = "{user}"', f'password = "{password}"']
    if basic:
        lines.append('basic = "allow"')
    if tls:
        lines.append(f'tls = "{tls}"')
    for profile, (path, start) in profiles.items():
        lines += ["[[camera.profile]]", f'name = "{profile}"', f'path = "{path}"', f'start = "{start}"']
    return "\n".join(lines) + "\n"


def user_toml(name, key, value, grants):
    """A `[[user]]` entry; grants: pattern -> list of words."""
    lines = ["[[user]]", f'name = "{name}"', f'{key} = "{value}"']
    for streams, may in grants.items():
        lines += ["[[user.grant]]", f'streams = "{streams}"', f"may = {json.dumps(may)}"]
    return "\n".join(lines) + "\n"


class Played:
    """What a client decoded."""

    def __init__(self, gray, sound, errors, status):
        self.gray, self.sound, self.errors, self.status = gray, sound, errors, status

    def numbers(self):
        """The numbers read from the pictures; a picture without a readable one is a failure."""
        numbers = [barcode.read_number(picture) for picture in self.gray]
        assert None not in numbers, f"unreadable pictures: {[i for i, n in enumerate(numbers) if n is None][:5]}"
        return numbers


def pictures(raw, width=WIDTH, height=HEIGHT):
    whole = len(raw) // (width * height)
    return numpy.frombuffer(raw[: whole * width * height], numpy.uint8).reshape(whole, height, width)


def play_ffmpeg(binary, url, count, work, options=(), timeout=60, sound=True, ca=None):
    """Decodes `count` pictures and the sound beside them with an ffmpeg program; `ca`: the only CA it trusts."""
    gray, pcm = work / f"{secrets.token_hex(4)}.gray", work / f"{secrets.token_hex(4)}.pcm"
    command = [binary, "-nostdin", "-hide_banner", "-loglevel", "error", *options, "-i", url]
    command += ["-map", "0:v:0", "-frames:v", count, *every_picture(binary), "-pix_fmt", "gray", "-f", "rawvideo", "-y", gray]
    if sound:
        command += ["-map", "0:a:0", "-t", count / 25, "-ac", "1", "-f", "s16le", "-y", pcm]
    done = run(*command, timeout=timeout, env=trusting(ca))
    read = lambda path: path.read_bytes() if path.exists() else b""
    return Played(pictures(read(gray)), numpy.frombuffer(read(pcm), "<i2"), done.stderr.decode(), done.returncode)


def every_picture(binary):
    """Options by which an ffmpeg program writes each decoded picture once, whenever it comes.

    The time base is RTP's: in one of the frame rate two pictures that a sender report brings some milliseconds nearer to
    each other may get the same number, and ffmpeg complains of that.
    """
    return ["-vsync" if binary == FFMPEG_OLD else "-fps_mode", "passthrough", "-enc_time_base:v", "1/90000"]


def trusting(ca):
    """The environment of a program that takes its CA from there; it goes on as it is without one."""
    return {**os.environ, "SSL_CERT_FILE": str(ca)} if ca else None


def new_ffmpeg_options(gateway, cert=None, key=None):
    """ffmpeg 8 and later verify only if told which CA; the name is checked too."""
    options = ["-rtsp_transport", "tcp", "-ca_file", gateway.ca, "-tls_verify", "1"]
    if cert:
        options += ["-cert_file", cert, "-key_file", key]
    return options


def play_gstreamer(url, count, work, ca, login=None, cert=None, key=None, seconds=40, options=()):
    """Decodes with rtspsrc, by the client that the product ships."""
    gray, pcm = work / f"{secrets.token_hex(4)}.gray", work / f"{secrets.token_hex(4)}.pcm"
    command = [SYSTEM_PYTHON, ROOT / "docs/clients/play_gst.py", "--ca", ca, "--pictures", count, "--gray", gray]
    command += ["--sound", pcm, "--seconds", seconds]
    if login:
        command += ["--user", login[0], "--password", login[1]]
    if cert:
        command += ["--cert", cert, "--key", key]
    done = run(*command, *options, url, timeout=seconds + 20)
    raw = gray.read_bytes() if gray.exists() else b""
    _, _, body = raw.partition(b"\n")
    pcm_bytes = pcm.read_bytes() if pcm.exists() else b""
    return Played(pictures(body), numpy.frombuffer(pcm_bytes, "<i2"), done.stderr.decode(), done.returncode)


class Rtsp:
    """A few lines of RTSP over TLS, to see status codes that players do not show."""

    def __init__(self, gateway, cafile=None, cert=None, key=None):
        context = ssl.create_default_context(cafile=str(cafile or gateway.ca))
        if cert:
            context.load_cert_chain(cert, key)
        with gateway.near_clients():
            raw = socket.create_connection((gateway.host, gateway.port), timeout=10)
        self.socket = context.wrap_socket(raw, server_hostname="localhost")
        self.file, self.cseq = self.socket.makefile("rb"), 0

    def ask(self, method, url, **headers):
        self.cseq += 1
        text = f"{method} {url} RTSP/1.0\r\nCSeq: {self.cseq}\r\n"
        text += "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.socket.sendall(text.encode() + b"\r\n")
        status = self.file.readline().decode()
        assert status.startswith("RTSP/1.0 "), status
        answer = {}
        for line in iter(lambda: self.file.readline().decode().strip(), ""):
            name, _, value = line.partition(":")
            answer.setdefault(name.lower(), value.strip())
        body = self.file.read(int(answer.get("content-length", 0)))
        return int(status.split()[1]), answer, body

    def close(self):
        self.socket.close()


def consecutive(numbers, modulo=None):
    """Whether each number follows the one before."""
    follows = lambda a, b: (a + 1) % modulo == b if modulo else a + 1 == b
    return all(follows(a, b) for a, b in zip(numbers, numbers[1:]))
