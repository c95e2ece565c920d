"""What the observer lists of frames that a hostile device sends, and that no flood hides them or costs memory.

Needs root: it makes a network namespace for the box and one for the cameras, and nothing outside of them.
"""
import ctypes
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest

import peers
from segment_frames import Device, everything, question

ROOT = os.geteuid() == 0
pytestmark = pytest.mark.skipif(
    not ROOT and os.environ.get("CI") != "true", reason="left out: network namespaces need root"
)
CAMERA, GATEWAY = "02:00:00:00:00:10", "02:ca:0a:4d:00:01"
HOSTILE, QUIET = "02:0a:00:00:00:21", "02:0a:00:00:00:22"
# Rows of one device and protocol; and what the process may grow by in a flood.
PROTOCOL_ROWS, GROWTH_MIB = 256, 32

SEGMENT = f"""
[segment]
interfaces = ["cam0"]
address = "10.77.0.1/24"
dns = "nxdomain"
dhcp = true
[ledger]
days = 30
mib = 64
[[camera]]
name = "door"
mac = "{CAMERA}"
address = "10.77.0.10"
ports = [554]
"""


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Box:
    """A namespace with the bridge and the service in it, and one with a port to it."""

    def __init__(self, folder):
        name = f"obs{os.getpid()}"
        self.box, self.cameras, self.folder = f"{name}-box", f"{name}-cam", folder
        self.state, self.run_dir = folder / "state", folder / "run"
        self.process = None

    def __enter__(self):
        try:
            self.build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def build(self):
        for namespace in (self.box, self.cameras):
            ip("netns", "add", namespace)
        ip("-n", self.box, "link", "add", "cam0", "type", "veth", "peer", "name", "dev0", "netns", self.cameras)
        ip("-n", self.box, "link", "add", "camseg0", "type", "bridge", "mcast_snooping", "0")
        ip("-n", self.box, "link", "set", "camseg0", "address", GATEWAY)
        ip("-n", self.box, "link", "set", "cam0", "master", "camseg0")
        ip("-n", self.box, "address", "add", "10.77.0.1/24", "dev", "camseg0")
        for namespace, link in [(self.box, "lo"), (self.box, "cam0"), (self.box, "camseg0"), (self.cameras, "dev0")]:
            ip("-n", namespace, "link", "set", link, "up")
        for directory in (self.state, self.run_dir):
            directory.mkdir()
        (self.folder / "segment.toml").write_text(SEGMENT)
        command = [peers.BINARY, "segment", "run", "--namespace", self.box, "--file", self.folder / "segment.toml",
                   "--run-dir", self.run_dir, "--state-dir", self.state]
        self.log = open(self.folder / "segment.log", "wb")
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.box}", *map(str, command)], stdout=self.log, stderr=self.log)
        wait_for(lambda: (self.run_dir / "control.sock").exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.words()

    def words(self):
        return (self.folder / "segment.log").read_text()[-3000:]

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for namespace in (self.box, self.cameras):
            subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)

    def rows(self):
        """The newest row of each (device, attempt), by what is on disk after a flush."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(20)
            control.connect(str(self.run_dir / "control.sock"))
            control.sendall(b'{"flush":true}\n')
            assert b"records" in control.recv(4096)
        rows = {}
        for day in sorted((self.state / "ledger").glob("*.jsonl")):
            for line in day.read_text().splitlines():
                body = json.loads(line).get("body", {})
                if body.get("kind") == "row":
                    attempt = body["attempt"]
                    key = (attempt["protocol"], json.dumps(attempt["destination"]), attempt["port"], attempt["name"],
                           attempt["verdict"])
                    rows[body["device"], key] = body
        return rows

    def memory_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024

    def device(self, mac_address, address):
        return Device(mac_address, address, GATEWAY)


class Port:
    """A raw socket on the cameras' side, in their namespace."""

    def __init__(self, box):
        with open("/proc/self/ns/net") as home, open(f"/run/netns/{box.cameras}") as there:
            enter(there)
            try:
                self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
                self.socket.bind(("dev0", 0))
            finally:
                enter(home)

    def send(self, frame):
        self.socket.send(frame)


def enter(namespace):
    """This thread's network namespace; Python before 3.12 has no setns."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.setns(namespace.fileno(), 0x40000000) == 0, os.strerror(ctypes.get_errno())


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


@pytest.fixture(name="box")
def fixture_box(tmp_path):
    assert ROOT, "these tests need root, and under CI nothing is left out"
    with Box(tmp_path) as box:
        yield box


def attempts(rows, device):
    return {key for (who, key) in rows if who == device}


def expected(pairs):
    return {(protocol, json.dumps({kind: value for kind, value in to.items()}), port, name, verdict)
            for _, (protocol, to, port, name, verdict) in pairs}


def test_every_kind_of_frame_is_listed_and_nothing_else(box):
    port, pairs = Port(box), everything(box.device(HOSTILE, "10.77.0.66"))
    for frame, _ in pairs:
        port.send(frame)
    port.send(box.device(QUIET, "10.77.0.67").udp(9, b"last"))
    wait_for(lambda: attempts(box.rows(), QUIET))
    listed = attempts(box.rows(), HOSTILE)
    assert listed == expected(pairs), {"missing": expected(pairs) - listed, "strange": listed - expected(pairs)}


def test_a_flood_hides_no_other_device_and_costs_no_memory(box):
    hostile, quiet = box.device(HOSTILE, "10.77.0.66"), box.device(QUIET, "10.77.0.67")
    names = [f"quiet-{n}.example" for n in range(20)]
    port = Port(box)
    port.send(hostile.udp(9))
    wait_for(lambda: attempts(box.rows(), HOSTILE))
    before = box.memory_mib()
    frame = bytearray(hostile.udp(9, to="9.0.0.0"))
    for n in range(1_000_000):
        frame[30:34] = (0x09000000 + n).to_bytes(4, "big")
        port.send(frame)
        if n % 50_000 == 0:
            port.send(quiet.udp(53, question(names[n // 50_000])))
    wait_for(lambda: {key[3] for key in attempts(box.rows(), QUIET)} >= set(names))
    rows = box.rows()
    flood = [body for (who, _), body in rows.items() if who == HOSTILE]
    assert len(flood) <= PROTOCOL_ROWS + 4
    many = [body for body in flood if body["attempt"]["destination"] == "many"]
    assert len(many) == 1 and many[0]["attempt"]["protocol"] == "udp", many
    assert sum(body["count"] for body in flood) <= 1_000_001
    print("seen of the flood:", sum(body["count"] for body in flood), "growth MiB:", box.memory_mib() - before)
    assert box.memory_mib() - before < GROWTH_MIB


def test_spoofed_senders_share_an_account_and_cameras_keep_theirs(box):
    port, camera = Port(box), box.device(CAMERA, "10.77.0.10")
    spoofed = bytearray(box.device("02:0b:00:00:00:00", "10.77.0.99").udp(9))
    for n in range(20_000):
        spoofed[8:12] = n.to_bytes(4, "big")
        port.send(spoofed)
        time.sleep(0.001 if n % 100 == 0 else 0)
    port.send(camera.udp(9))
    wait_for(lambda: attempts(box.rows(), CAMERA))
    rows = box.rows()
    assert ("00:00:00:00:00:00" in {who for who, _ in rows}) and len({who for who, _ in rows}) <= 520
    assert rows[CAMERA, next(iter(attempts(rows, CAMERA)))]["camera"] == "door"
