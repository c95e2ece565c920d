"""What cameras get on the segment: real tools as the phoning camera, leases, and a storm of ten.

The tools run where a camera would, in a namespace with one way: to the gateway's segment.
"""
import contextlib
import json
import os
import pathlib
import re
import sys

import pytest

import peers
import segment_lab
from segment_lab import GATEWAY, wait_for

pytestmark = segment_lab.needs("dig", "chronyd", "ntpdate", "curl", "openssl", "mosquitto_pub", "ping", "dnsmasq", "udhcpc")

MAC, ADDRESS = "02:00:00:00:00:10", "10.77.0.10"
CAMERAS = {"door": (MAC, ADDRESS, [554])}
# Nobody's (RFC 5737).
RESOLVER, CLOUD, TIME = "203.0.113.53", "203.0.113.7", "198.51.100.123"
SINK = "192.0.2.1"


@contextlib.contextmanager
def running(cameras=CAMERAS, **options):
    with segment_lab.Lab(cameras, **options) as lab:
        lab.up()
        lab.start_service()
        yield lab


def attempts(lab, mac=MAC):
    """What the ledger lists of a device: (protocol, destination, port, name, verdict) -> count."""
    rows = {}
    for record in lab.records():
        # A checkpoint has none.
        body = record.get("body", {})
        if body.get("kind") == "row" and body["device"] == mac:
            attempt = body["attempt"]
            destination = attempt["destination"]
            where = destination if isinstance(destination, str) else next(iter(destination.values()))
            rows[attempt["protocol"], where, attempt["port"], attempt["name"], attempt["verdict"]] = body["count"]
    return rows


def test_the_tools_of_a_camera_are_answered_or_sunk_and_the_ledger_names_each():
    with running() as lab:
        door = lab.device("door", MAC, ADDRESS)

        def dig(server, *words):
            return door.run("dig", "+time=3", "+tries=1", f"@{server}", *words).stdout

        assert "status: NXDOMAIN" in dig(GATEWAY, "alarm.ezviz7.com")
        # A hard-coded resolver answers too, by its own address: dig takes no other's.
        assert f"SERVER: {RESOLVER}#53({RESOLVER}) (UDP)" in dig(RESOLVER, "litedev.ezvizlife.com")
        assert "status: NXDOMAIN" in dig(RESOLVER, "+tcp", "over-tcp.example", "AAAA")
        assert dig(RESOLVER, "+short", "2.pool.ntp.org").split() == [GATEWAY]
        assert dig(GATEWAY, "+short", "+tcp", "gateway.camlock.internal").split() == [GATEWAY]

        for server in [GATEWAY, TIME]:
            told = door.run("ntpdate", "-q", server).stdout
            assert re.search(rf"[+-]0\.\d+ \+/- \d\.\d+ {server} s10 no-leap", told), told
        told = door.run("chronyd", "-Q", "-t", "20", f"server {TIME} iburst maxsamples 1").stderr
        assert re.search(r"System clock wrong by -?0\.0\d+ seconds", told), told

        def reset(*command, status, words):
            done = door.run(*command, check=False)
            assert done.returncode == status and words in done.stderr, done

        curl = ["curl", "--silent", "--show-error", "--max-time", "10", "--resolve", f"cloud.example:443:{CLOUD}"]
        reset(*curl, "https://cloud.example/a?token=1", status=35, words="reset by peer")
        reset(*curl, f"https://{CLOUD}/", status=35, words="reset by peer")
        plain = ["--header", "Host: plain.example", f"http://{CLOUD}/a?token=1"]
        reset(*curl, *plain, status=56, words="reset by peer")
        tls = ["openssl", "s_client", "-connect", f"{CLOUD}:8666", "-servername", "old.ezviz7.com"]
        door.run(*tls, "-tls1", "-cipher", "ALL:@SECLEVEL=0", check=False, input="")
        mqtt = ["mosquitto_pub", "-h", CLOUD, "-p", "31006", "-i", "camera-1", "-u", "serial", "-P", "planted-secret"]
        reset(*mqtt, "-t", "a", "-m", "b", status=7, words="connection was lost")
        # The laboratory keeps devices from sending it of their own accord.
        door.run("nft", "delete", "table", "inet", "quiet")
        assert "100% packet loss" in door.run("ping", "-c", "2", "-W", "1", CLOUD, check=False).stdout

        rows = attempts(lab)
        expected = {
            ("dns", GATEWAY, 53, "alarm.ezviz7.com", "answered"),
            ("dns", RESOLVER, 53, "litedev.ezvizlife.com", "answered"),
            ("dns", RESOLVER, 53, "over-tcp.example", "answered"),
            ("dns", RESOLVER, 53, "2.pool.ntp.org", "answered"),
            ("dns", GATEWAY, 53, "gateway.camlock.internal", "answered"),
            ("ntp", GATEWAY, 123, None, "answered"),
            ("ntp", TIME, 123, None, "answered"),
            ("tls", CLOUD, 443, "cloud.example (h2 http/1.1)", "sunk"),
            ("tls", CLOUD, 443, "(h2 http/1.1)", "sunk"),
            ("http", CLOUD, 80, "plain.example", "sunk"),
            ("tls", CLOUD, 8666, "old.ezviz7.com", "sunk"),
            ("mqtt", CLOUD, 31006, "camera-1 (serial)", "sunk"),
            ("icmp", CLOUD, 8, None, "dropped"),
        }
        assert expected <= rows.keys(), f"missing: {expected - rows.keys()}\nthere are: {sorted(rows, key=str)}"
        ledger = "".join(file.read_text() for file in (lab.state_dir / "ledger").glob("*.jsonl"))
        assert "planted-secret" not in ledger and "token" not in ledger


def test_by_the_policy_sink_a_camera_shows_where_it_wanted_to_go():
    with running(dns="sink") as lab:
        door = lab.device("door", MAC, ADDRESS)
        assert door.run("dig", "+short", f"@{RESOLVER}", "alarm.ezviz7.com").stdout.split() == [SINK]
        # By the system's own resolver, as a camera would.
        resolver = lab.work / "resolv.conf"
        resolver.write_text(f"nameserver {GATEWAY}\n")
        curl = "curl --silent --show-error --max-time 10 https://alarm.ezviz7.com/a"
        bind = f"mount --bind {resolver} /etc/resolv.conf && exec {curl}"
        done = door.run("unshare", "--mount", "sh", "-c", bind, check=False)
        assert done.returncode == 35 and "reset by peer" in done.stderr, done
        rows = attempts(lab)
        assert ("tls", SINK, 443, "alarm.ezviz7.com (h2 http/1.1)", "sunk") in rows, rows


LEASE = """#!/bin/sh
[ "$1" = bound ] && echo "$ip/$mask via $router dns $dns time $ntpsrv for $lease"
exit 0
"""


def test_a_camera_of_the_file_gets_its_address_and_an_unknown_device_none():
    with running(dhcp=True) as lab:
        lab.start_dhcp()
        script = lab.work / "lease"
        script.write_text(LEASE)
        script.chmod(0o755)

        def lease(device):
            command = ["udhcpc", "-i", "c0", "-n", "-q", "-f", "-t", "3", "-T", "1", "-O", "ntpsrv", "-s", script]
            done = device.run(*command, check=False)
            return done.returncode, done.stdout.strip()

        door = lab.device("door", MAC, None)
        stranger = lab.device("stranger", "02:00:00:00:00:66", None)
        expected = f"{ADDRESS}/24 via {GATEWAY} dns {GATEWAY} time {GATEWAY} for 3600"
        wait_for(lambda: lease(door) == (0, expected), lambda: f"no lease: {lease(door)}")
        assert lease(stranger) == (1, "")
        for mac in [MAC, "02:00:00:00:00:66"]:
            kinds = {(protocol, where) for protocol, where, *_ in attempts(lab, mac)}
            assert ("dhcp", "255.255.255.255") in kinds, kinds


TEN = {
    f"camera{n}": (f"02:00:00:00:01:{n:02x}", f"10.77.0.{100 + n}", [554]) for n in range(10)
}
# 60,000 DNS questions a day each, and a TLS hello each second.
QUESTIONS, HELLOS, SECONDS = 60_000 / 86_400, 1, 20
TICKS = os.sysconf("SC_CLK_TCK")


def cpu(process):
    fields = pathlib.Path(f"/proc/{process.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(process):
    status = pathlib.Path(f"/proc/{process.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def storm(lab, times):
    """All ten at so many times the pace; what became of it, and the CPU seconds of the segment's service a second."""
    before = cpu(lab.service)
    storms = []
    for device in lab.devices.values():
        if device.name.startswith("camera"):
            pace = [str(SECONDS), str(QUESTIONS * times), str(HELLOS * min(times, 30))]
            with device.inside():
                storms.append(peers.Process(sys.executable, "-B", peers.HERE / "segment_storm.py", *pace))
            lab.stack.callback(storms[-1].__exit__)
    told = [json.loads(each.first_line(r"\{.*\}", SECONDS + 30)[0]) for each in storms]
    whole = {key: sum(each[key] for each in told) for key in ["asked", "answered", "connects", "reset"]}
    return whole, (cpu(lab.service) - before) / SECONDS


def test_ten_storming_cameras_cost_less_than_a_hundredth_of_a_core_each():
    with running(TEN) as lab:
        for name, (mac, address, _) in TEN.items():
            lab.device(name, mac, address)
        whole, share = storm(lab, 1)
        print(f"\n10 cameras, {QUESTIONS * 10:.1f} questions and {HELLOS * 10} hellos a second: {share:.2%} of a core")
        print(whole)
        assert whole["asked"] >= 0.9 * 10 * QUESTIONS * SECONDS and whole["answered"] == whole["asked"], whole
        assert whole["connects"] >= 0.9 * 10 * HELLOS * SECONDS and whole["reset"] == whole["connects"], whole
        assert share < 10 * 0.01
        asked = [attempts(lab, mac).get(("dns", "203.0.113.53", 53, "alarm.ezviz7.com", "answered")) for mac, *_ in TEN.values()]
        assert sum(asked) == whole["asked"], "each question stands in the ledger"


def test_a_hundredfold_storm_takes_no_memory_and_no_picture(vms, work):
    toml, secret = vms
    with running({**TEN, "door": (MAC, ADDRESS, [8554])}) as lab:
        door = lab.device("door", MAC, ADDRESS)
        for name, (mac, address, _) in TEN.items():
            lab.device(name, mac, address)
        with door.inside():
            camera = peers.Camera(lab.work, port=8554, address=ADDRESS)
        lab.stack.callback(camera.__exit__)
        entry = peers.camera_toml("door", 8554, {"main": ("/h264", "always")}).replace("127.0.0.1", ADDRESS)
        gateway = lab.start_gateway(entry + toml)
        gateway.wait_health("door/main", "playing")
        storm(lab, 1)
        before = memory(lab.service)
        url = gateway.url("door/main", f"recorder:{secret}")
        with segment_lab.within(lab.out):
            raw = lab.work / "pictures.gray"
            command = [peers.FFMPEG_OLD, "-nostdin", "-loglevel", "error", "-rtsp_transport", "tcp", "-i", url, "-map", "0:v:0"]
            command += [*peers.every_picture(peers.FFMPEG_OLD), "-t", SECONDS, "-pix_fmt", "gray", "-f", "rawvideo", raw]
            reader = peers.Process(*command)
        lab.stack.callback(reader.__exit__)
        whole, share = storm(lab, 100)
        reader.process.wait(30)
        numbers = peers.Played(peers.pictures(raw.read_bytes()), None, reader.said(), 0).numbers()
        rise = memory(lab.service) - before
        print(f"\na hundredfold: {whole}, {share:.2%} of a core, {rise / 1024:.0f} KiB more, {len(numbers)} pictures")
        assert whole["asked"] > 50 * 10 * QUESTIONS * SECONDS, whole
        assert rise < 8 * 1024 * 1024
        assert len(numbers) >= 0.9 * SECONDS * 25 and peers.consecutive(numbers), numbers
