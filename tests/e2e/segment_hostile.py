"""A hostile device: once a second it sends every kind of frame, and speaks as a client of clouds would.

Run in the device's namespace; it ends after --seconds and prints how many rounds it made.
"""
import argparse
import contextlib
import json
import socket
import ssl
import struct
import time

import segment_frames
from segment_frames import ALL, OUT, everything, question

MARKER = b"leak-marker-5e9d"
# Servers that firmware has by number, and the box's own address towards its clients.
CLOUD, CLIENTS = "198.51.100.7", "192.0.2.1"
HOLES = [3478, 10000, 20000, 32100, 58200]
TCP_SAMPLE = [21, 22, 23, 554, 1883, 8883, 6667]
# What a protocol of the ledger is counted as where the name is another.
COUNTED = {
    "llmnr": "udp", "net_bios": "udp", "dh_discover": "udp", "xmeye": "udp", "malformed": "udp", "stun": "udp",
    "tls": "tcp", "http": "tcp", "smtp": "tcp", "mqtt": "tcp", "ssh": "tcp", "ftp": "tcp", "rtsp": "tcp",
    "icmpv6": "ipv6", "dhcpv6": "ipv6", "lldp": "link_local",
}
# Frames that are counted for what is wrong with them, whatever they carry: (protocol, port) of `everything`.
WRONG = {("tcp", 82): "spoofed", ("tcp", 83): "neighbour", ("udp", 5001): "options"}


def counted(frame, row):
    """The counter of table `bridge camlock` for a frame."""
    protocol, _, port = row[:3]
    ether = frame[12:14]
    if ether == b"\x86\xdd":
        return "kind_ipv6"
    if ether not in [b"\x08\x00", b"\x08\x06", b"\x81\x00"] and protocol != "lldp":
        return "kind_ethernet"
    return "kind_" + WRONG.get((protocol, port), COUNTED.get(protocol, protocol))


def extras(device):
    """Beyond `everything`: what only a device that wants out would send. (frame, row)."""
    d, broadcast = device, "255.255.255.255"
    echo = b"\x08\0\0\0\0\1\0\1" + MARKER
    echo = echo[:2] + struct.pack(">H", segment_frames.checksum(echo)) + echo[4:]
    camera = {"ip": "10.77.0.10"}
    frames = [
        (d.udp(53, question(f"{MARKER.decode()}.example")), ("dns", {"ip": OUT}, 53, f"{MARKER.decode()}.example", "answered")),
        (d.ipv4(1, echo, to=CLOUD), ("icmp", {"ip": CLOUD}, 8, None, "dropped")),
        (d.udp(32108, MARKER, broadcast), ("udp", {"ip": broadcast}, 32108, None, "dropped")),
        (d.udp(554, MARKER, "10.77.0.10"), ("udp", camera, 554, None, "dropped")),
        (d.udp(9322, MARKER, CLIENTS), ("udp", {"ip": CLIENTS}, 9322, None, "dropped")),
        # As if the camera, or the gateway, had sent it.
        (d.udp(7000, MARKER, source="10.77.0.10"), ("udp", {"ip": OUT}, 7000, None, "dropped")),
        (d.udp(7001, MARKER, source=CLIENTS), ("udp", {"ip": OUT}, 7001, None, "dropped")),
        # A second tag; a tag with a priority only.
        (d.ethernet(0x0800, MARKER, ALL, b"\x88\xa8\0\5\x81\0\0\6"), ("vlan", {"mac": "ff:ff:ff:ff:ff:ff"}, None, None, "dropped")),
        # Another's address claimed by ARP.
        (claim(d, "10.77.0.10"), ("arp", camera, None, None, "dropped")),
    ]
    frames += [(d.udp(port, MARKER, CLOUD), ("udp", {"ip": CLOUD}, port, None, "dropped")) for port in HOLES]
    return frames


def extra_counter(frame, row):
    """As `counted`, for `extras`."""
    special = {
        ("udp", 554): "kind_neighbour", ("udp", 7000): "kind_spoofed", ("udp", 7001): "kind_spoofed", ("udp", 3478): "kind_stun",
    }
    if frame[12:14] == b"\x88\xa8":
        return "kind_vlan"
    return special.get((row[0], row[2])) or counted(frame, row)


def claim(device, address):
    own = socket.inet_aton(address)
    return device.ethernet(0x0806, b"\0\1\x08\0\6\4\0\1" + device.mac + own + bytes(6) + own, ALL)


def speak():
    """Connections as a firmware's own libraries make them: (port, what is said)."""
    for port in TCP_SAMPLE:
        with contextlib.suppress(OSError), socket.create_connection((CLOUD, port), timeout=0.3) as client:
            client.sendall(MARKER)
    context = ssl._create_unverified_context()
    for address in [CLOUD, CLIENTS]:
        with contextlib.suppress(OSError), socket.create_connection((address, 443), timeout=0.3) as client:
            client.settimeout(0.3)
            with context.wrap_socket(client, server_hostname="cloud.example"):
                pass


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mac", required=True)
    parser.add_argument("--address", required=True)
    parser.add_argument("--gateway-mac", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    args = parser.parse_args()
    device = segment_frames.Device(args.mac, args.address, args.gateway_mac)
    frames = [frame for frame, _ in everything(device) + extras(device)]
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    port.bind(("c0", 0))
    end, rounds, lost = time.monotonic() + args.seconds, 0, 0
    print("begun", flush=True)
    while time.monotonic() < end:
        began = time.monotonic()
        for frame in frames:
            try:
                port.send(frame)
            except OSError:
                lost += 1
        speak()
        rounds += 1
        time.sleep(max(0, began + 1 - time.monotonic()))
    print(json.dumps({"rounds": rounds, "lost": lost}), flush=True)


if __name__ == "__main__":
    main()
