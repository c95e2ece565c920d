"""`camlock segment verify` passes on a segment that holds, and only there: each way to break the segment, the watcher
or the ledger is found. Needs root; see segment_lab.
"""
import contextlib
import json
import pathlib
import signal
import socket
import threading
import time

import pytest

import peers
import segment_lab
from segment_lab import sh, wait_for, within

pytestmark = segment_lab.needs()

CAMERA = ("02:00:00:00:00:10", "10.77.0.10")
PASSWORD = "planted-guard-password"
HIDE = 'table netdev hide {\nchain out {\ntype filter hook egress device "eth0" priority 0; policy drop;\n}\n}\n'


@pytest.fixture
def lab():
    with segment_lab.Lab({"door": (*CAMERA, [554])}) as lab:
        lab.up()
        lab.device("door", *CAMERA)
        lab.start_service()
        lab.forwarding()
        yield lab
        assert not attached(lab), "the canary was left behind"


def verify(lab, *more, place=None):
    """Exit code, the JSON object it printed, and the seconds it took."""
    begun = time.monotonic()
    with within(lab.box):
        done = sh(lab.binary, "segment", "verify", *(place or lab.place()), "--json", *more, check=False, timeout=90)
    assert done.returncode in (0, 1, 3), done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout), time.monotonic() - begun


def attached(lab):
    """What there is of a canary."""
    namespaces = [line.split()[0] for line in sh("ip", "netns", "list").stdout.splitlines()]
    left = [name for name in namespaces if name == f"{lab.segment}-canary"]
    port = sh("ip", "-n", lab.segment, "link", "show", "dev", "camcanary0", check=False)
    return left + (["camcanary0"] if port.returncode == 0 else [])


def failed(report):
    return [control["control"] for control in report["controls"] if control["failed"]]


def test_a_segment_that_holds_passes_and_the_ledger_has_all_tries(lab):
    code, report, seconds = verify(lab)
    assert code == 0, json.dumps(report, indent=1)
    print(f"{len(report['ways'])} ways in {seconds:.1f} s")
    assert len(report["ways"]) >= 60
    assert seconds < 30
    result = report["result"]
    assert report["passed"] and report["recorded"]
    assert not (result["escaped"] or result["unseen"] or result["failed_controls"])
    bodies = [record["body"] for record in lab.records() if "body" in record]
    assert [body["tries"] for body in bodies if body["kind"] == "canary"] == [len(report["ways"])]
    assert not attached(lab)


def test_a_second_way_out_is_found_and_named(lab):
    """A cable from the segment's namespace into the box, forwarding on, and the rules gone."""
    sh("ip", "-n", lab.segment, "link", "add", "back", "type", "veth", "peer", "name", "door", "netns", lab.box)
    for namespace, interface, address in [(lab.segment, "back", "10.9.9.1"), (lab.box, "door", "10.9.9.2")]:
        sh("ip", "-n", namespace, "address", "add", f"{address}/30", "dev", interface)
        sh("ip", "-n", namespace, "link", "set", interface, "up")
        with within(namespace):
            pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
            for path in pathlib.Path("/proc/sys/net/ipv4/conf").glob("*/rp_filter"):
                path.write_text("0")
            sh("nft", "flush", "ruleset")
    sh("ip", "-n", lab.segment, "route", "add", "default", "via", "10.9.9.2")
    sh("ip", "-n", lab.box, "route", "add", "10.77.0.0/24", "via", "10.9.9.1")
    code, report, _ = verify(lab)
    assert code == 1, json.dumps(report, indent=1)
    escaped = {way["way"]: way["escaped"] for way in report["ways"] if way["escaped"]}
    for name in ["dns-hard-coded", "dns-tunnel", "tls", "stun", "udp-hole-punch", "icmp-internet", "gre", "spoofed-mac"]:
        assert any(place == "out on eth0" for place in escaped.get(name, [])), (name, escaped)
    assert set(escaped) == set(report["result"]["escaped"])
    assert "ssdp" not in escaped, "nothing forwards that"


def test_another_bridge_port_is_found(lab):
    """A cable from the bridge to the box: what is on the wire only gets out there too."""
    sh("ip", "-n", lab.segment, "link", "add", "back", "type", "veth", "peer", "name", "door", "netns", lab.box)
    with within(lab.segment):
        sh("nft", "flush", "ruleset")
    sh("ip", "-n", lab.segment, "link", "set", "back", "master", "camseg0", "up")
    sh("ip", "-n", lab.box, "link", "set", "door", "up")
    wait_for(
        lambda: json.loads(sh("bridge", "-n", lab.segment, "-j", "link", "show", "dev", "back").stdout)[0]["state"]
        == "forwarding",
        "the port does not forward",
    )
    code, report, _ = verify(lab)
    assert code == 1
    escaped = {way["way"]: way["escaped"] for way in report["ways"] if way["escaped"]}
    for name in ["ssdp", "sadp-ethernet", "ethertype-experimental", "lldp-broadcast", "arp-internet", "broadcast"]:
        assert "in on door" in escaped.get(name, []), (name, escaped)


def test_a_camera_that_is_not_apart_from_others_is_found(lab):
    sh("bridge", "-n", lab.segment, "link", "set", "dev", "eth1", "isolated", "off")
    with within(lab.segment):
        sh("nft", "flush", "ruleset")
    code, report, _ = verify(lab)
    assert code == 1
    escaped = {way["way"]: way["escaped"] for way in report["ways"] if way["escaped"]}
    for name in ["camera-to-camera", "camera-to-camera-ethernet", "ssdp", "arp-camera"]:
        assert escaped.get(name) == ["out on eth1"], (name, escaped)


def test_without_the_service_nothing_is_proved(lab):
    lab.service.stop()
    code, report, _ = verify(lab)
    assert code == 3
    assert "the segment's service writes the ledger" in failed(report)
    assert not report["passed"] and not report["recorded"]


def test_with_a_service_that_hangs_nothing_is_proved(lab):
    lab.service.process.send_signal(signal.SIGSTOP)
    try:
        code, report, seconds = verify(lab)
    finally:
        lab.service.process.send_signal(signal.SIGCONT)
    assert code == 3
    assert "the segment's service writes the ledger" in failed(report)
    assert seconds < 60


def test_a_try_that_the_ledger_does_not_list_is_named(lab):
    with Censor(lab, lambda row: row["attempt"]["protocol"] == "gre") as place:
        code, report, _ = verify(lab, place=place)
    assert code == 1, json.dumps(report, indent=1)
    assert report["result"]["unseen"] == ["gre"] and not report["result"]["escaped"]
    assert not report["passed"]


def test_a_watcher_that_would_see_nothing_proves_nothing(lab):
    sh("ip", "-n", lab.box, "link", "set", "eth0", "down")
    code, report, _ = verify(lab)
    assert code == 3 and failed(report) == ["frames on eth0 are seen"], report["controls"]
    sh("ip", "-n", lab.box, "link", "set", "eth0", "up")
    # A filter before the place where frames are seen.
    with within(lab.box):
        sh("nft", "-f", "-", input=HIDE)
    code, report, _ = verify(lab)
    assert code == 3 and failed(report) == ["frames on eth0 are seen"], report["controls"]
    with within(lab.box):
        sh("nft", "delete", "table", "netdev", "hide")
    text = lab.file.read_text()
    lab.file.write_text(text.replace('uplinks = ["eth0"]', 'uplinks = ["eth0", "wan7"]'))
    code, report, _ = verify(lab)
    assert code == 3 and failed(report) == ["uplink"], report["controls"]


def test_a_gateway_that_requires_it_serves_only_after_a_run_that_passed(lab, tmp_path):
    config = peers.user_toml("guard", "password_hash", peers.password_hash(PASSWORD), {"*": ["view"]})
    config += (
        f'[[camera]]\nname = "door"\naddress = "{CAMERA[1]}:554"\n'
        '[[camera.profile]]\nname = "main"\npath = "/h264"\nstart = "always"\n'
    )
    with lab.devices["door"].inside():
        camera = peers.Process(peers.SYSTEM_PYTHON, peers.HERE / "camera.py", "--port", "554", "--address", CAMERA[1])
    lab.stack.callback(camera.__exit__)
    camera.first_line("listening")
    gateway = lab.start_gateway(config, 'canary = "require"\n', ready=False)
    wait_for(lambda: "the canary has not run yet" in (not_served(gateway) or ""), "it is served without a run")
    assert not plays(lab, gateway, tmp_path)
    for eth0, code, words in [("up", 0, None), ("down", 3, "proves nothing"), ("up", 0, None)]:
        # As the service is told after a run whose control failed.
        sh("ip", "-n", lab.box, "link", "set", "eth0", eth0)
        assert verify(lab)[0] == code
        sh("ip", "-n", lab.box, "link", "set", "eth0", "up")
        wait_for(lambda: said(words, not_served(gateway)), lambda: f"{words}: {not_served(gateway)}")
        assert plays(lab, gateway, tmp_path) == (words is None)


def said(words, told):
    return told is None if words is None else words in (told or "")


def not_served(gateway):
    """Why nobody is served, as /readyz says it."""
    try:
        page = gateway.readiness()
    except OSError:
        return "it does not answer yet"
    assert page["ready"] == (page["segment"].get("not_served") is None), page
    return page["segment"].get("not_served")


def plays(lab, gateway, folder):
    with within(lab.out):
        played = peers.play_ffmpeg(peers.FFMPEG_OLD, gateway.url("door/main", f"guard:{PASSWORD}"), 10, folder, timeout=20, sound=False)
    assert (len(played.numbers()) == 10) == (played.status == 0), played.errors
    assert played.status == 0 or "503" in played.errors, played.errors
    return played.status == 0


def test_it_cleans_up_when_told_to_stop_and_after_it_was_killed(lab):
    for how, left in [(signal.SIGTERM, False), (signal.SIGKILL, True)]:
        with within(lab.box):
            canary = peers.Process(lab.binary, "segment", "verify", *lab.place())
        with canary:
            wait_for(lambda: len(attached(lab)) == 2, "no canary")
            # One at a time.
            assert_busy(lab)
            canary.stop(how)
        assert bool(attached(lab)) == left
    assert verify(lab)[0] == 0
    assert not attached(lab)


def assert_busy(lab):
    with within(lab.box):
        second = sh(lab.binary, "segment", "verify", *lab.place(), check=False)
    assert second.returncode == 3 and "another canary" in second.stderr, second.stderr


class Censor:
    """A ledger without some rows: another control socket, and a copy of the ledger that it makes when asked to write."""

    def __init__(self, lab, hides):
        self.lab, self.hides = lab, hides
        self.run_dir, self.state_dir = lab.work / "censored-run", lab.work / "censored-state"

    def __enter__(self):
        self.run_dir.mkdir()
        (self.state_dir / "ledger").mkdir(parents=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.run_dir / "control.sock"))
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        return [
            "--namespace", self.lab.segment, "--file", self.lab.file, "--run-dir", self.run_dir,
            "--state-dir", self.state_dir,
        ]

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                with client, contextlib.closing(socket.socket(socket.AF_UNIX)) as real:
                    real.connect(str(self.lab.run_dir / "control.sock"))
                    real.sendall(client.makefile("rb").readline())
                    reply = real.makefile("rb").readline()
                    self.copy()
                    client.sendall(reply)

    def copy(self):
        for file in (self.lab.state_dir / "ledger").glob("*.jsonl"):
            lines = [line for line in file.read_text().splitlines(True) if not self.is_hidden(line)]
            (self.state_dir / "ledger" / file.name).write_text("".join(lines))

    def is_hidden(self, line):
        body = json.loads(line).get("body") or {}
        return body.get("kind") == "row" and self.hides(body)
