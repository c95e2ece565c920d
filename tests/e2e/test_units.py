"""The units of the package, as systemd's own tool judges them. How they behave is tested in `tests/vm`."""
import re

import pytest

import peers

UNITS = peers.ROOT / "systemd"
# Tenths. What is left at the gateway: the network and its address families, the box's own root directory. At the
# segment's service also its two capabilities and packet sockets; at DHCP three. Root's one-shots change the
# network, and enter namespaces: their bounds are what they may, not a figure.
MOST = {
    "camlock.service": 15,
    "camlock-segment.service": 20,
    "camlock-segment-dhcp.service": 25,
    "camlock-guard.service": 50,
    "camlock-segment-net.service": 75,
    "camlock-canary.service": 75,
}


@pytest.mark.parametrize("unit", sorted(path.name for path in UNITS.glob("*.service")))
def test_exposure_stays_under_what_is_stated(unit):
    judged = peers.run("systemd-analyze", "security", "--offline=true", f"--threshold={MOST[unit]}", UNITS / unit)
    said = judged.stdout.decode().splitlines()[-1]
    print(said)
    assert judged.returncode == 0, said


def test_systemd_finds_no_fault_in_them(tmp_path):
    units = [*UNITS.glob("*.service"), *UNITS.glob("*.socket"), *UNITS.glob("*.timer")]
    assert len(units) == 8
    for unit in units:
        # What the package brings, and depends on, is not installed here.
        text = unit.read_text().replace("/usr/bin/camlock ", f"{peers.BINARY} ")
        (tmp_path / unit.name).write_text(text.replace("/usr/sbin/dnsmasq", "/bin/true"))
    judged = peers.run("systemd-analyze", "verify", *(tmp_path / unit.name for unit in units))
    # Of the machine's own units it speaks too.
    ours = [line for line in judged.stderr.decode().splitlines() if "camlock" in line and "Command" not in line]
    assert not ours, "\n".join(ours)
    assert judged.returncode == 0, judged.stderr.decode()


def test_what_must_not_be_lost_in_an_edit_is_there():
    def has(unit, *lines):
        text = (UNITS / unit).read_text()
        for line in lines:
            assert re.search(f"^{re.escape(line)}$", text, re.MULTILINE), f"{unit}: no {line}"

    has("camlock.service", "CapabilityBoundingSet=", "Restart=always", "RestartPreventExitStatus=78", "WatchdogSec=10s",
        "Type=notify", "User=camlock", "Requires=camlock.socket")
    has("camlock-segment.service", "NetworkNamespacePath=/run/netns/camlock", "Requires=camlock-segment-net.service",
        "After=camlock-segment-net.service", "CapabilityBoundingSet=CAP_NET_RAW CAP_NET_BIND_SERVICE",
        "ExecStopPost=+/usr/bin/camlock segment closed", "Restart=always", "RestartPreventExitStatus=78")
    assert "RemainAfterExit=yes" not in (UNITS / "camlock-segment-net.service").read_text()
    has("camlock-guard.service", "Before=network-pre.target shutdown.target", "RemainAfterExit=yes")
