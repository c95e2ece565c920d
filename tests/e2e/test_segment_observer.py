"""What the observer lists of frames that a hostile device sends, and that no flood hides them or costs memory.

Needs root; see segment_lab. One device sends the frames of all: what counts is the sender that they name.
"""
import contextlib
import json
import pathlib
import re
import socket
import time

import pytest

import segment_lab
from segment_frames import Device, everything, question
from segment_lab import wait_for

pytestmark = segment_lab.needs()

CAMERA, GATEWAY = "02:00:00:00:00:10", "02:ca:0a:4d:00:01"
HOSTILE, QUIET = "02:0a:00:00:00:21", "02:0a:00:00:00:22"
# Rows of one device and protocol; and what the process may grow by in a flood.
PROTOCOL_ROWS, GROWTH_MIB = 256, 32


@pytest.fixture
def lab():
    with segment_lab.Lab({"door": (CAMERA, "10.77.0.10", [554])}, dhcp=True) as lab:
        lab.up()
        lab.device("any", "02:0a:00:00:00:20", None)
        lab.start_service()
        lab.forwarding()
        yield lab


@pytest.fixture
def port(lab):
    with lab.devices["any"].inside(), contextlib.closing(socket.socket(socket.AF_PACKET, socket.SOCK_RAW)) as port:
        port.bind(("c0", 0))
        yield port


def device(address, ip):
    return Device(address, ip, GATEWAY)


def read_rows(lab):
    """The newest row of each (device, attempt)."""
    rows = {}
    for record in lab.records():
        body = record.get("body", {})
        if body.get("kind") == "row":
            attempt = body["attempt"]
            key = (attempt["protocol"], json.dumps(attempt["destination"]), attempt["port"], attempt["name"], attempt["verdict"])
            rows[body["device"], key] = body
    return rows


def memory_mib(lab):
    status = pathlib.Path(f"/proc/{lab.service.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def wait_for_device(lab, address):
    wait_for(lambda: attempts(read_rows(lab), address), f"nothing of {address} is listed")


def attempts(rows, device):
    return {key for (who, key) in rows if who == device}


def expected(pairs):
    return {(protocol, json.dumps({kind: value for kind, value in to.items()}), port, name, verdict)
            for _, (protocol, to, port, name, verdict) in pairs}


def test_every_kind_of_frame_is_listed_and_nothing_else(lab, port):
    pairs = everything(device(HOSTILE, "10.77.0.66"))
    for frame, _ in pairs:
        port.send(frame)
    port.send(device(QUIET, "10.77.0.67").udp(9, b"last"))
    wait_for_device(lab, QUIET)
    listed = attempts(read_rows(lab), HOSTILE)
    assert listed == expected(pairs), {"missing": expected(pairs) - listed, "strange": listed - expected(pairs)}


def test_a_flood_hides_no_other_device_and_costs_no_memory(lab, port):
    hostile, quiet = device(HOSTILE, "10.77.0.66"), device(QUIET, "10.77.0.67")
    names = [f"quiet-{n}.example" for n in range(20)]
    port.send(hostile.udp(9))
    wait_for_device(lab, HOSTILE)
    before = memory_mib(lab)
    frame = bytearray(hostile.udp(9, to="9.0.0.0"))
    total = 0xFFFF - int.from_bytes(frame[24:26], "big")
    for n in range(1_000_000):
        frame[30:34] = (0x09000000 + n).to_bytes(4, "big")
        # The laboratory's switch drops what has a wrong checksum.
        frame[24:26] = (0xFFFF - (total + (n >> 16) + (n & 0xFFFF)) % 0xFFFF).to_bytes(2, "big")
        port.send(frame)
        if n % 50_000 == 0:
            port.send(quiet.udp(53, question(names[n // 50_000])))
    listed = lambda: {key[3] for key in attempts(read_rows(lab), QUIET)}  # noqa: E731
    wait_for(lambda: listed() >= set(names), lambda: f"of {len(names)} names {len(listed())} are listed")
    rows = read_rows(lab)
    flood = [body for (who, _), body in rows.items() if who == HOSTILE]
    assert len(flood) <= PROTOCOL_ROWS + 4
    many = [body for body in flood if body["attempt"]["destination"] == "many"]
    assert len(many) == 1 and many[0]["attempt"]["protocol"] == "udp", many
    assert sum(body["count"] for body in flood) <= 1_000_001
    growth = memory_mib(lab) - before
    print("seen of the flood:", sum(body["count"] for body in flood), "growth MiB:", growth)
    assert growth < GROWTH_MIB


def test_spoofed_senders_share_an_account_and_cameras_keep_theirs(lab, port):
    spoofed = bytearray(device("02:0b:00:00:00:00", "10.77.0.99").udp(9))
    for n in range(20_000):
        spoofed[8:12] = n.to_bytes(4, "big")
        port.send(spoofed)
        time.sleep(0.001 if n % 100 == 0 else 0)
    port.send(device(CAMERA, "10.77.0.10").udp(9))
    wait_for_device(lab, CAMERA)
    rows = read_rows(lab)
    assert ("00:00:00:00:00:00" in {who for who, _ in rows}) and len({who for who, _ in rows}) <= 520
    assert rows[CAMERA, next(iter(attempts(rows, CAMERA)))]["camera"] == "door"
