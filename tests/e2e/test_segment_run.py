"""The segment's service in a namespace of its own, unprivileged, and a gateway outside that has no other way in."""
import base64
import json
import os
import re
import secrets
import shutil
import signal
import socket
import struct
import time
import urllib.error

import pytest

import peers
from conftest import PASSWORD

TOOLS = ["ip", "nsenter", "setpriv"]
MISSING = [tool for tool in TOOLS if not shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin")]
LEFT_OUT = "network namespaces need root" if os.geteuid() else f"tools are missing: {MISSING}" if MISSING else ""
if LEFT_OUT and os.environ.get("CI") == "true":
    pytest.fail(f"left out under CI: {LEFT_OUT}", pytrace=False)
pytestmark = pytest.mark.skipif(bool(LEFT_OUT), reason=f"left out: {LEFT_OUT}")

USER = 64103
GATEWAY, CAMERA = "10.77.0.1", "10.77.0.10"
MAC = "02:00:00:00:00:10"
RIGHTS = "+net_raw,+net_bind_service"


def sh(*command):
    done = peers.run(*command)
    assert done.returncode == 0, f"{command}: {done.stderr.decode()}"


class Segment:
    """Two namespaces: the segment with its bridge, and a camera behind a port of it."""

    def __init__(self, work):
        tag = secrets.token_hex(3)
        self.namespace, self.camera_namespace = f"camrun-{tag}", f"camrun-{tag}-c"
        self.folder = work / f"segment-{tag}"
        self.folder.mkdir()
        # The service is another user: it must get as far as its directories.
        for folder in [self.folder, *self.folder.parents]:
            if folder.stat().st_uid == os.geteuid() and str(folder) != "/":
                folder.chmod(folder.stat().st_mode | 0o011)
        self.run_dir, self.state, self.file = self.folder / "run", self.folder / "state", self.folder / "segment.toml"
        for folder, mode in ((self.run_dir, 0o750), (self.state, 0o700)):
            folder.mkdir(mode=mode)
            os.chown(folder, USER, USER)
        self.service = self.camera = None
        self.write(["554"])

    def write(self, ports):
        self.file.write_text(
            f'[segment]\ninterfaces = ["cam0"]\naddress = "{GATEWAY}/24"\n'
            f'[[camera]]\nname = "door"\nmac = "{MAC}"\naddress = "{CAMERA}"\nports = [{", ".join(ports)}]\n'
        )

    def __enter__(self):
        try:
            self.build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def build(self):
        for namespace in (self.namespace, self.camera_namespace):
            sh("ip", "netns", "add", namespace)
            sh("ip", "-n", namespace, "link", "set", "lo", "up")
        inside = ("ip", "-n", self.namespace)
        sh(*inside, "link", "add", "camseg0", "type", "bridge")
        sh(*inside, "link", "add", "cam0", "type", "veth", "peer", "name", "eth0", "netns", self.camera_namespace)
        sh(*inside, "link", "set", "cam0", "master", "camseg0", "up")
        sh(*inside, "address", "add", f"{GATEWAY}/24", "dev", "camseg0")
        sh(*inside, "link", "set", "camseg0", "up")
        camera = ("ip", "-n", self.camera_namespace)
        sh(*camera, "link", "set", "eth0", "address", MAC, "up")
        sh(*camera, "address", "add", f"{CAMERA}/24", "dev", "eth0")
        self.camera = peers.Process(
            "nsenter", f"--net=/run/netns/{self.camera_namespace}", peers.SYSTEM_PYTHON, peers.HERE / "camera.py",
            "--auth", "none", "--port", 554, "--address", CAMERA, "--sent", self.folder / "sent",
            "--user", "u", "--password", "p", "--bframes", 0,
        )
        self.camera.first_line(r"listening (\d+)")

    def start(self, **environment):
        """As its unit does: in the namespace, as a user with the two rights that its sockets need."""
        self.service = peers.Process(
            "nsenter", f"--net=/run/netns/{self.namespace}",
            "setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", f"--inh-caps={RIGHTS}",
            f"--ambient-caps={RIGHTS}", f"--bounding-set=-all,{RIGHTS}",
            peers.BINARY, "segment", "run", "--namespace", self.namespace, "--file", self.file,
            "--run-dir", self.run_dir, "--state-dir", self.state, env=os.environ | environment,
        )
        wait_until(lambda: "is served" in self.service.said() or not self.service.alive(), 10)
        assert self.service.alive(), self.service.said()
        return self.service

    def __exit__(self, *_):
        for process in (self.service, self.camera):
            if process:
                process.__exit__()
        for namespace in (self.namespace, self.camera_namespace):
            peers.run("ip", "netns", "delete", namespace)

    def control(self, command):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(str(self.run_dir / "control.sock"))
            s.sendall(json.dumps(command).encode() + b"\n")
            return json.loads(s.makefile().readline())

    def entries(self):
        assert "records" in self.control({"flush": True})
        files = sorted((self.state / "ledger").glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def wait_until(holds, seconds):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def ask(run_dir, camera, port):
    """The answer's code, and how many descriptors came."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(str(run_dir / "door.sock"))
        s.sendall(struct.pack(">BHB", 1, port, len(camera)) + camera.encode())
        data, fds, _, _ = socket.recv_fds(s, 16, 4)
        for fd in fds:
            os.close(fd)
        return data[0], len(fds)


def gateway(work, segment, guard, name, camera="door", port=554, more=""):
    toml = peers.camera_toml(camera, port, {"main": ("/h264", "always")}).replace("127.0.0.1", CAMERA)
    own = f'segment = "{segment.run_dir}"\n{more}'
    return peers.Gateway(work, guard + toml, name, own=own)


def reason(gateway, stream="door/main"):
    return gateway.health(stream).get("reason", "")


@pytest.fixture
def segment(work):
    with Segment(work) as segment:
        yield segment


def test_pictures_flow_and_either_process_survives_the_other(work, guard, segment):
    with gateway(work, segment, guard, "segment-flow") as main:
        # Without the service nothing reaches the camera: there is no other way.
        wait_until(lambda: "is camlock-segment running" in reason(main), 10)
        assert (segment.folder / "sent.h264").read_text() == ""
        segment.start()
        main.wait_health("door/main", "playing", 20)
        url = main.url("door/main", f"guard:{PASSWORD}")
        played = peers.play_ffmpeg(peers.FFMPEG_NEW, url, 50, work, peers.new_ffmpeg_options(main))
        assert played.status == 0 and len(played.numbers()) == 50, played.errors
        wait_until(lambda: main.page("/readyz")["segment"]["link"]["up"], 5)
        # The video does not need the service once it flows.
        segment.service.stop(signal.SIGKILL)
        wait_until(lambda: not main.page("/readyz")["segment"]["link"]["up"], 5)
        assert main.health("door/main")["state"] == "playing"
        segment.start()
        wait_until(lambda: main.page("/readyz")["segment"]["link"]["up"], 3)
        assert 'camlock_segment_info{mode="namespace"} 1' in main.page("/metrics")
        assert main.stop() == 0
    assert segment.service.alive()
    assert segment.service.stop() == 0, segment.service.said()
    assert "the ledger is written" in segment.service.said()


def test_what_root_did_not_list_is_refused_and_audited(work, guard, segment):
    service = segment.start()
    assert ask(segment.run_dir, "door", 554) == (0, 1)
    assert ask(segment.run_dir, "door", 80) == (3, 0)
    assert ask(segment.run_dir, "yard", 554) == (2, 0)
    assert ask(segment.run_dir, "../door", 554) == (1, 0)
    for event in ('camera="door" port=80 reason="port_not_listed"', 'camera="yard" port=554 reason="unknown_camera"'):
        assert event in plain(service), plain(service)
    with gateway(work, segment, guard, "segment-port", port=80) as main:
        wait_until(lambda: "does not list this port" in reason(main), 10)
        assert 'reason="segment_port_not_listed"' in plain(main) and 'event="dial_refused"' in plain(main)
        # Root lists it; the service takes it at SIGHUP.
        segment.write(["80", "554"])
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "read anew" in service.said(), 5)
        wait_until(lambda: "refused the connection" in reason(main), 20)
    with gateway(work, segment, guard, "segment-name", camera="yard") as main:
        wait_until(lambda: "no camera of this name" in reason(main, "yard/main"), 10)


def test_probe_looks_through_the_segment(segment):
    segment.start()
    ask = [peers.BINARY, "probe", f"rtsp://{CAMERA}/h264", "--seconds", 2, "--segment", segment.run_dir, "--name"]
    seen = peers.run(*ask, "door")
    assert seen.returncode == 0 and b'name = "door"' in seen.stdout, seen
    unknown = peers.run(*ask, "yard")
    assert unknown.returncode == 1 and b"no camera of this name" in unknown.stderr, unknown


def plain(process):
    return re.sub(r"\x1b\[[0-9;]*m", "", process.said())


def test_the_process_has_no_rights_left(segment):
    service = segment.start()
    status = (open(f"/proc/{service.process.pid}/status")).read()
    for line in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert re.search(rf"^{line}:\s+0+$", status, re.M), status
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M) and re.search(r"^Seccomp:\s+2$", status, re.M), status
    assert re.search(rf"^Uid:\s+{USER}\s", status, re.M), status


def test_the_service_manager_hears_of_it(segment):
    told = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        path = str(segment.folder / "notify")
        manager.bind(path)
        os.chown(path, USER, USER)
        manager.settimeout(5)
        service = segment.start(NOTIFY_SOCKET=path, WATCHDOG_USEC="4000000")
        hear = lambda: told.append(manager.recv(500).decode())  # noqa: E731
        while sum("WATCHDOG=1" in line for line in told) < 3:
            hear()
        assert "READY=1" in told[0], told
        service.process.send_signal(signal.SIGTERM)
        while "STOPPING=1" not in told[-1]:
            hear()
    assert service.process.wait(5) == 0, service.said()


def test_only_root_gives_orders(segment):
    segment.start()
    # Told before it asked: what it would ask is not even read.
    ask = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(99))"
    as_service = ("setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", peers.SYSTEM_PYTHON, "-c", ask)
    told = peers.run(*as_service, segment.run_dir / "control.sock")
    assert b'{"error":"root only"}' in told.stdout, told
    assert "records" in segment.control({"flush": True})


def test_the_service_ends_with_its_namespace_and_begins_in_no_other(segment):
    service = segment.start()
    sh("ip", "netns", "delete", segment.namespace)
    service.process.wait(3)
    assert service.process.returncode == 1 and "namespace lost" in service.said()
    done = peers.run(
        peers.BINARY, "segment", "run", "--namespace", segment.namespace, "--file", segment.file,
        "--run-dir", segment.run_dir, "--state-dir", segment.state,
    )
    assert done.returncode == 1 and b"is not the network namespace that" in done.stderr


def test_devices_stand_in_the_ledger_and_the_canary_lets_serve(work, guard, segment):
    segment.start()
    with gateway_held(work, segment, guard) as main:
        assert "\ncamlock_segment_serves 0\n" in main.page("/metrics")
        wait_until(lambda: main.health("door/main")["state"] == "playing", 20)
        url = main.url("door/main", f"guard:{PASSWORD}")
        assert rtsp_status(main) == 503
        passed = {"at_ms": int(time.time() * 1000), "tries": 30, "escaped": [], "unseen": [], "failed_controls": []}
        assert segment.control({"canary": passed}) == {"ok": True}
        main.wait_ready()
        played = peers.play_ffmpeg(peers.FFMPEG_NEW, url, 25, work, peers.new_ffmpeg_options(main))
        assert played.status == 0 and len(played.numbers()) == 25, played.errors
        failed = dict(passed, escaped=["icmp"])
        command = [peers.FFMPEG_NEW, "-loglevel", "error", *peers.new_ffmpeg_options(main), "-i", url, "-f", "null", "-"]
        with peers.Process(*command) as player:
            wait_until(lambda: re.search(r"^camlock_stream_readers\S* [1-9]", main.page("/metrics"), re.M), 20)
            assert segment.control({"canary": failed}) == {"ok": True}
            player.process.wait(5)
        assert rtsp_status(main) == 503
        assert "got out by: icmp" in plain(main) and 'event="serving"' in plain(main)
    with gateway_held(work, segment, guard) as main:
        # Another gateway hears the same verdict.
        wait_until(lambda: "got out of" in held(main), 5)
    kinds = {entry["body"]["kind"] for entry in segment.entries() if "body" in entry}
    assert {"start", "row", "canary"} <= kinds, kinds


def held(main):
    try:
        main.page("/readyz")
    except urllib.error.HTTPError as error:
        return json.loads(error.read())["segment"]["not_served"]
    return ""


class gateway_held(peers.Gateway):
    """A gateway that is not ready: it needs a verdict."""

    def __init__(self, work, segment, guard):
        toml = peers.camera_toml("door", 554, {"main": ("/h264", "always")}).replace("127.0.0.1", CAMERA)
        own = f'segment = "{segment.run_dir}"\ncanary = "require"\n'
        super().__init__(work, guard + toml, "segment-held", own=own)

    def wait_ready(self, seconds=10):
        if self.alive() and not hasattr(self, "began"):
            self.began = True
            wait_until(lambda: asked(lambda: held(self)), seconds)
            return
        super().wait_ready(seconds)

    def health(self, stream):
        try:
            return super().health(stream)
        except urllib.error.HTTPError as error:
            return json.loads(error.read())["streams"][stream]


def asked(holds):
    try:
        return holds()
    except OSError:
        return False


def rtsp_status(main):
    """Of a DESCRIBE with a login."""
    rtsp = peers.Rtsp(main)
    login = base64.b64encode(f"guard:{PASSWORD}".encode()).decode()
    answer = rtsp.ask("DESCRIBE", main.url("door/main"), Authorization=f"Basic {login}")
    rtsp.close()
    return answer[0]
