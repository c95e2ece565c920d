"""Root's one-shots of the segment: they make it, repair it, change it without a gap, and close it when in doubt."""
import json
import os
import pathlib

import pytest

import segment_lab
from segment_lab import GATEWAY, find, sh, within

pytestmark = segment_lab.needs("dnsmasq")

CAMERA = ("02:00:00:00:00:10", "10.77.0.10", [554])
YARD = ("02:00:00:00:00:11", "10.77.0.11", [554, 8554])
BAD_CONFIG = 78


@pytest.fixture
def lab():
    with segment_lab.Lab({"door": CAMERA}, dhcp=True) as lab:
        yield lab


def link(namespace, name):
    shown = sh("ip", "-n", namespace, "-j", "address", "show", "dev", name, check=False)
    return json.loads(shown.stdout)[0] if shown.returncode == 0 else None


def is_up(namespace, name="eth1"):
    return "UP" in link(namespace, name)["flags"]


def pins(lab):
    shown = sh("ip", "-n", lab.segment, "-j", "neighbour", "show", "nud", "permanent").stdout
    return {entry["dst"]: entry["lladdr"] for entry in json.loads(shown or "[]")}


def dialled(lab):
    listed = lab.nft(lab.segment, "list", "set", "inet", "camlock", "dial")
    elements = next(entry["set"] for entry in listed if "set" in entry).get("elem", [])
    return {(element["concat"][0], element["concat"][1]) for element in elements}


def guarded(lab):
    listed = lab.nft(lab.box, "list", "set", "inet", "camlock_guard", "cameras")
    return set(next(entry["set"] for entry in listed if "set" in entry).get("elem", []))


def test_it_makes_the_segment_and_a_second_time_changes_nothing(lab):
    lab.command("guard")
    assert guarded(lab) == {"eth1"}, "before anything else"
    lab.command("up", "--closed")
    assert link(lab.box, "eth1") is None and not is_up(lab.segment)
    lab.command("open")
    assert is_up(lab.segment)
    state = lambda: (link(lab.segment, "camseg0"), link(lab.segment, "eth1"), pins(lab), dialled(lab))  # noqa: E731
    before = state()
    assert [(address["local"], address["prefixlen"]) for address in before[0]["addr_info"]] == [(GATEWAY, 24)]
    assert pins(lab) == {CAMERA[1]: CAMERA[0]} and dialled(lab) == {(CAMERA[1], 554)}
    lab.command("up")
    after = state()
    for was, now in zip(before, after, strict=True):
        assert was == now or was.keys() - {"operstate", "flags", "addr_info"} == now.keys() - {"operstate", "flags", "addr_info"}
    assert is_up(lab.segment)


def test_dnsmasq_takes_its_files(lab):
    lab.up()
    checked = sh(find("dnsmasq"), "--test", f"--conf-file={lab.work}/net/dnsmasq.conf", check=False)
    assert checked.returncode == 0, checked.stderr
    assert (lab.work / "net/dnsmasq.hosts").read_text() == f"{CAMERA[0]},{CAMERA[1]},1h\n"


def test_a_changed_file_is_carried_in_whole(lab):
    lab.up()
    lab.cameras = {"yard": YARD}
    lab.write_file()
    lab.command("apply")
    assert pins(lab) == {YARD[1]: YARD[0]}
    assert dialled(lab) == {(YARD[1], 554), (YARD[1], 8554)}
    assert (lab.work / "net/dnsmasq.hosts").read_text() == f"{YARD[0]},{YARD[1]},1h\n"
    assert is_up(lab.segment)
    # A file with faults changes nothing, and a closed segment stays closed.
    lab.file.write_text(lab.file.read_text().replace(YARD[1], "192.0.2.9"))
    refused = lab.command("apply", check=False)
    assert refused.returncode == BAD_CONFIG and "is not in the subnet" in refused.stderr
    assert pins(lab) == {YARD[1]: YARD[0]} and is_up(lab.segment)
    lab.write_file()
    lab.command("closed")
    lab.command("apply")
    assert not is_up(lab.segment)


def test_what_others_may_write_opens_nothing(lab):
    for spoil in [lambda: lab.file.chmod(0o664), lambda: os.chown(lab.file, segment_lab.SEGMENT_USER, 0)]:
        spoil()
        for name in ["up", "guard"]:
            refused = lab.command(name, check=False)
            assert refused.returncode == BAD_CONFIG and "could open the segment" in refused.stderr, refused.stderr
        assert not sh("ip", "netns", "pids", lab.segment, check=False).stdout
        assert not pathlib.Path("/run/netns", lab.segment).exists()
        # The guard goes by the names all the same: it only ever closes.
        assert guarded(lab) == {"eth1"}


def test_it_closes_when_the_file_is_broken_or_the_interface_is_gone(lab):
    lab.up()
    whole = lab.file.read_text()
    lab.file.write_text(whole.replace("eth1", "eth7"))
    for name in ["up", "apply"]:
        failed = lab.command(name, check=False)
        assert failed.returncode == 1 and "there is no interface eth7; there are: eth0, eth1" in failed.stderr, failed.stderr
    assert not is_up(lab.segment), "half a segment is none"
    lab.file.write_text(whole)
    lab.command("up")
    assert is_up(lab.segment)
    lab.file.write_text("this is not TOML")
    lab.command("closed")
    assert not is_up(lab.segment)
    lab.command("down")
    assert not is_up(lab.box) and not pathlib.Path("/run/netns", lab.segment).exists()


def test_a_fallen_interface_and_a_stale_pin_are_repaired(lab):
    lab.up()
    sh("ip", "-n", lab.segment, "link", "set", "eth1", "netns", lab.box)
    sh("ip", "-n", lab.box, "link", "set", "eth1", "up")
    lab.command("up")
    assert is_up(lab.segment) and link(lab.segment, "eth1")["master"] == "camseg0" and link(lab.box, "eth1") is None
    assert pins(lab) == {CAMERA[1]: CAMERA[0]}
    lab.command("down")
    # What is left when a namespace is unmounted and its pin is not taken away.
    pathlib.Path("/run/netns", lab.segment).touch()
    lab.command("up")
    assert is_up(lab.segment)


def test_rules_are_swapped_while_a_connection_goes_on(lab):
    lab.up()
    lab.device("door", CAMERA[0], CAMERA[1])
    lab.forwarding()
    with lab.devices["door"].inside():
        server = segment_lab.socket.create_server((CAMERA[1], 554))
    with within(lab.segment):
        client = segment_lab.socket.create_connection((CAMERA[1], 554), timeout=5)
        with pytest.raises(OSError):
            segment_lab.socket.create_connection((CAMERA[1], 80), timeout=0.3)
    with server, client, server.accept()[0] as camera:
        for name in ["up", "apply"]:
            lab.command(name)
            camera.sendall(b"picture")
            client.settimeout(5)
            assert client.recv(7) == b"picture"
