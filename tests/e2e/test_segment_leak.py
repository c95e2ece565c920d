"""Nothing of a device on the segment reaches the outside, whatever it sends and whatever is broken meanwhile.

A camera that works, a device that sends every kind of frame, tcpdump outside. Needs root; see segment_lab.
"""
import collections
import contextlib
import json
import pathlib
import socket
import struct
import sys
import time
import xml.etree.ElementTree

import pytest

import peers
import segment_hostile
import segment_lab
from segment_frames import Device as Frames
from segment_frames import everything, mac
from segment_lab import GATEWAY, OUTSIDE, find, sh, wait_for, within

pytestmark = segment_lab.needs("nmap")

CAMERA = ("02:00:00:00:00:10", "10.77.0.10")
HOSTILE = ("02:0a:00:00:00:21", "10.77.0.66")
SCANNER = ("02:0a:00:00:00:22", "10.77.0.67")
# On the other port of the box.
LONELY = ("02:0a:00:00:00:23", "10.77.0.68")
GATEWAY_MAC = "02:ca:0a:4d:00:01"
PASSWORD = "planted-guard-password"
SECONDS = 30
# TCP and ARP are answered, so the device's kernel sends more of them than the test does.
ANSWERED = {"kind_tcp", "kind_arp", "kind_dns", "kind_dns_over_tls"}
# What connections said, as the sink tells it beside what the observer saw.
TOLD = {"tcp", "tls", "http", "rtsp", "mqtt", "ssh", "smtp", "ftp", "dns_over_tls"}


@pytest.fixture(scope="module")
def lab():
    cameras = {"door": (*CAMERA, [554])}
    with segment_lab.Lab(cameras, ports=2) as lab:
        lab.up()
        lab.device("door", *CAMERA)
        lab.device("hostile", *HOSTILE)
        lab.device("scanner", *SCANNER)
        lab.device("lonely", *LONELY, switch=2)
        lab.start_service()
        lab.forwarding()
        yield lab


def hostile(lab, seconds):
    """The hostile device at work."""
    with lab.devices["hostile"].inside():
        child = peers.Process(
            sys.executable, pathlib.Path(segment_hostile.__file__), "--mac", HOSTILE[0], "--address", HOSTILE[1],
            "--gateway-mac", GATEWAY_MAC, "--seconds", seconds,
        )
    lab.stack.callback(child.__exit__)
    child.first_line("begun")
    return child


def leaked(frames):
    """Frames with an address of the segment, or with the marker."""
    return [frame for frame in frames if of_segment(frame) or segment_hostile.MARKER in frame]


def of_segment(frame):
    """Whether Ethernet, ARP or IPv4 names an address of the camera side as its sender."""
    known = {mac(address) for address, _ in [CAMERA, HOSTILE, SCANNER, LONELY]}
    if frame[6:12] in known or frame[0:6] in known:
        return True
    sender = {b"\x08\x00": frame[26:30], b"\x08\x06": frame[28:32]}.get(frame[12:14], b"")
    return sender[:3] == socket.inet_aton(GATEWAY)[:3]


def mark(lab, capture):
    """A marker from the box to the outside, for a capture that sees nothing proves nothing. Returns when it was seen:
    what was sent before it is then in the capture too."""
    with within(lab.box), contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        sender.sendto(b"positive-control", (OUTSIDE, 9))
    wait_for(lambda: b"positive-control" in capture.file.read_bytes(), "tcpdump outside does not see the marker")


def start_camera(lab):
    with lab.devices["door"].inside():
        camera = peers.Process(
            peers.SYSTEM_PYTHON, peers.HERE / "camera.py", "--port", "554", "--address", CAMERA[1]
        )
    lab.stack.callback(camera.__exit__)
    camera.first_line("listening")


def start_gateway(lab):
    config = peers.user_toml("guard", "password_hash", peers.password_hash(PASSWORD), {"*": ["view"]})
    config += (
        f'[[camera]]\nname = "door"\naddress = "{CAMERA[1]}:554"\n'
        '[[camera.profile]]\nname = "main"\npath = "/h264"\nstart = "always"\n'
    )
    gateway = lab.start_gateway(config)
    gateway.wait_health("door/main", "playing")
    return gateway


def test_pictures_flow_and_each_attempt_is_counted_and_listed_and_stays_inside(lab, tmp_path):
    before = rows(lab, HOSTILE[0])
    counted_before = lab.counters()
    outside = lab.capture(lab.out, "out0")
    start_camera(lab)
    gateway = start_gateway(lab)
    device = hostile(lab, SECONDS)
    with within(lab.out):
        url = gateway.url("door/main", f"guard:{PASSWORD}")
        played = peers.play_ffmpeg(peers.FFMPEG_OLD, url, 25 * SECONDS, tmp_path, timeout=4 * SECONDS, sound=False)
    done = json.loads(device.first_line(r"^\{.*", SECONDS + 20)[0])
    mark(lab, outside)
    assert leaked(outside.frames()) == []
    assert peers.consecutive(played.numbers()) and len(played.numbers()) == 25 * SECONDS, played.errors
    # One a second, if the machine has time for it.
    assert done["lost"] == 0 and done["rounds"] >= SECONDS / 3
    compare_counters(lab, counted_before, done["rounds"])
    compare_ledger(rows(lab, HOSTILE[0]), before, done["rounds"])


def expected():
    """(counter, row) of each frame of a round."""
    device = Frames(*HOSTILE, GATEWAY_MAC)
    listed = [(segment_hostile.counted(*pair), pair[1]) for pair in everything(device)]
    return listed + [(segment_hostile.extra_counter(*pair), pair[1]) for pair in segment_hostile.extras(device)]


def compare_counters(lab, before, rounds):
    now = lab.counters()
    grown = {name: now[name] - before.get(name, 0) for name in now if now[name] != before.get(name, 0)}
    wanted = collections.Counter(name for name, _ in expected())
    # The camera's pictures are the one kind that is not the hostile device's.
    kinds = {name for name in grown if name.startswith("kind_")} - {"kind_stream"}
    assert kinds == set(wanted), {"strange": kinds - set(wanted), "missing": set(wanted) - kinds}
    for name, count in wanted.items():
        if name in ANSWERED:
            assert grown[name] >= count * rounds, name
        else:
            assert grown[name] == count * rounds, (name, grown[name], count * rounds)


def rows(lab, device):
    """Attempt -> count, of the newest row of each."""
    newest = {}
    for record in lab.records():
        body = record.get("body", {})
        if body.get("kind") == "row" and body["device"] == device:
            attempt = body["attempt"]
            key = (attempt["protocol"], json.dumps(attempt["destination"]), attempt["port"], attempt["name"], attempt["verdict"])
            newest[body["day"], body["run"], key] = body["count"]
    counts = collections.Counter()
    for (_, _, key), count in newest.items():
        counts[key] += count
    return counts


def compare_ledger(now, before, rounds):
    grown = now - before
    wanted = collections.Counter(
        (protocol, json.dumps(to), port, name, verdict) for _, (protocol, to, port, name, verdict) in expected()
    )
    missing = {key for key in wanted if key not in grown}
    assert not missing, missing
    # What it said to a server that it knows by number: the name in its TLS.
    said = {key[1] for key in grown if key[0] == "tls" and key[3] == "cloud.example"}
    assert said == {json.dumps({"ip": ip}) for ip in [segment_hostile.CLOUD, segment_hostile.CLIENTS]}
    strange = {key for key in grown if key not in wanted and not spoken(key)}
    assert not strange, strange
    for key, count in wanted.items():
        if key[0] in TOLD or key[0] == "arp":
            assert grown[key] >= count * rounds, (key, grown[key])
        else:
            assert grown[key] == count * rounds, (key, grown[key], count * rounds)


def spoken(key):
    """Whether it is of the connections of `segment_hostile.speak`, or of the device's own kernel (ARP, resets)."""
    protocol, to, port, name, verdict = key
    if protocol == "arp":
        return to in [json.dumps({"ip": GATEWAY}), json.dumps({"ip": HOSTILE[1]})]
    ports = {*segment_hostile.TCP_SAMPLE, 443}
    to_servers = to in [json.dumps({"ip": ip}) for ip in [segment_hostile.CLOUD, segment_hostile.CLIENTS]]
    return protocol in TOLD and (to_servers and port in ports or verdict == "dropped" and name is None)


def test_nmap_finds_three_ports_of_the_gateway_and_a_sink_elsewhere(lab):
    scanner = lab.devices["scanner"]
    assert scan(scanner, "-sS", "-p1-65535", "--min-rate=6000", "--max-retries=1", GATEWAY) == {53}
    udp = "7,53,67,68,69,111,123,137,161,500,514,554,1434,1900,3478,3702,5353,8000,8322,9322,37020"
    assert scan(scanner, "-sU", f"-p{udp}", "--max-retries=2", "--max-rate=50", GATEWAY) <= {53, 67, 123}
    assert scan(scanner, "-sU", "-p53,123", "--max-rate=5", GATEWAY) == {53, 123}
    sample = {21, 22, 23, 80, 443, 554, 1883, 8000, 8883, 9000, 34567}
    assert scan(scanner, "-sS", f"-p{','.join(map(str, sample))}", "--max-rate=20", "198.51.100.9") == sample
    # A camera on another port is not to be found at all.
    assert scan(lab.devices["lonely"], "-sS", "-p53,554", "--max-retries=1", CAMERA[1]) == set()


def scan(device, *options):
    """The ports that nmap knows to be open."""
    done = device.run(find("nmap"), "-n", "-Pn", "-oX", "-", *options, timeout=100)
    ports = xml.etree.ElementTree.fromstring(done.stdout).iter("port")
    return {int(port.get("portid")) for port in ports if port.find("state").get("state") == "open"}


def test_a_camera_on_another_port_hears_nothing(lab):
    """Whatever a device sends: to its Ethernet address, to all, or to a group; ports of the box are isolated."""
    other = lab.capture(lab.cam, "port2")
    device = Frames(*HOSTILE, GATEWAY_MAC)
    frames = [frame for frame, _ in everything(device) + segment_hostile.extras(device)]
    frames += [mac(LONELY[0]) + frame[6:] for frame in frames]
    with lab.devices["hostile"].inside(), contextlib.closing(socket.socket(socket.AF_PACKET, socket.SOCK_RAW)) as port:
        port.bind(("c0", 0))
        for frame in frames:
            port.send(frame)
    # Something that does come through proves that tcpdump looks: the gateway's own answer.
    with lab.devices["lonely"].inside():
        assert ask_arp("c0", GATEWAY, mac(LONELY[0]), LONELY[1])
    answer = mac(LONELY[0]) + mac(GATEWAY_MAC)
    wait_for(lambda: answer in other.file.read_bytes(), "tcpdump does not see the gateway's answer")
    heard = other.frames()
    assert [frame for frame in heard if frame[6:12] == mac(HOSTILE[0])] == []


def test_nobody_but_the_door_reaches_a_camera(lab):
    """Neither from outside nor from the box: no route, no answer to ARP, no frame on the camera's side."""
    inside = lab.capture(lab.cam, "port1")
    for namespace, interface in [(lab.out, "out0"), (lab.box, "eth0")]:
        with within(namespace):
            assert ask_arp(interface, CAMERA[1]) == []
            for address in [CAMERA[1], GATEWAY]:
                with pytest.raises(OSError), socket.create_connection((address, 554), timeout=1):
                    pass
                with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender, contextlib.suppress(OSError):
                    sender.sendto(b"from-outside", (address, 554))
    with within(lab.box):
        as_gateway = [find("setpriv"), "--reuid=64102", "--regid=64102", "--groups=64101", "--inh-caps=-all", "--bounding-set=-all"]
        reach = f"import socket; socket.create_connection(('{CAMERA[1]}', 554), timeout=1)"
        assert sh(*as_gateway, "/usr/bin/python3", "-c", reach, check=False).returncode != 0
        enter = [find("nsenter"), f"--net=/run/netns/{lab.segment}", "true"]
        assert sh(*as_gateway, *enter, check=False).returncode != 0
    assert not [frame for frame in inside.frames() if b"from-outside" in frame]


def ask_arp(interface, address, own=mac("02:00:00:00:99:01"), sender=OUTSIDE):
    """Answers within a second to a broadcast question for an address."""
    with contextlib.closing(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))) as port:
        port.bind((interface, 0x0806))
        question = b"\xff" * 6 + own + b"\x08\x06\0\1\x08\0\6\4\0\1" + own + socket.inet_aton(sender) + bytes(6)
        port.send(question + socket.inet_aton(address))
        answers, end = [], time.monotonic() + 1
        port.settimeout(1)
        with contextlib.suppress(OSError):
            while time.monotonic() < end:
                frame = port.recv(2048)
                if frame[20:22] == b"\0\2" and frame[28:32] == socket.inet_aton(address):
                    answers.append(frame)
        return answers


def test_nothing_leaves_whatever_is_broken(lab):
    outside = lab.capture(lab.out, "out0")
    device = hostile(lab, 45)
    for namespace in [lab.box, lab.segment]:
        force_forwarding(namespace)
    rounds(2)
    for table in ["bridge", "inet"]:
        sh("nsenter", f"--net=/run/netns/{lab.segment}", "nft", "delete", "table", table, "camlock")
    rounds(3)
    if lab.gateway:
        lab.gateway.stop(9)
    rounds(1)
    lab.stop_service(9)
    assert not up(lab.segment, "eth1"), "no observer, no link"
    rounds(2)
    # Start, while the device goes on.
    lab.command("up", "--closed")
    assert not up(lab.segment, "eth1")
    lab.start_service()
    lab.command("open")
    assert up(lab.segment, "eth1")
    force_forwarding(lab.segment)
    rounds(2)
    lab.stop_service()
    # Stop: the interface falls back to the box, and somebody there raises it and gives it an address.
    lab.command("down")
    assert not up(lab.box, "eth1")
    fallen(lab)
    rounds(3)
    mark(lab, outside)
    assert leaked(outside.frames()) == []
    # The laboratory would have seen it: without the guard it leaks.
    control = lab.capture(lab.out, "out0")
    guard = lab.nft(lab.box, "list", "tables")
    names = [(entry["table"]["family"], entry["table"]["name"]) for entry in guard if "table" in entry]
    assert ("inet", "camlock_guard") in names and ("arp", "camlock_guard") in names
    with within(lab.box):
        for family, name in names:
            sh(find("nft"), "delete", "table", family, name)
    rounds(3)
    assert leaked(control.frames()), "this laboratory cannot see a leak"
    # And it is taken in again.
    lab.up("--closed")
    assert not up(lab.segment, "eth1")
    device.stop(9)


def rounds(count):
    """Lets the hostile device go on for so many of its rounds: there is nothing to wait for but time."""
    time.sleep(count + 0.2)


def force_forwarding(namespace):
    with within(namespace):
        for key in ["ip_forward", "conf/all/forwarding"]:
            pathlib.Path("/proc/sys/net/ipv4", key).write_text("1")


def fallen(lab):
    """What a network manager does with an interface that it finds."""
    sh("ip", "-n", lab.box, "address", "add", f"{GATEWAY}/24", "dev", "eth1")
    # The device knows the gateway by this address.
    sh("ip", "-n", lab.box, "link", "set", "eth1", "address", GATEWAY_MAC)
    sh("ip", "-n", lab.box, "link", "set", "eth1", "up")
    force_forwarding(lab.box)


def up(namespace, interface):
    shown = json.loads(sh("ip", "-n", namespace, "-j", "link", "show", interface).stdout)
    return "UP" in shown[0]["flags"]
