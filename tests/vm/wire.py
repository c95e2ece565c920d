"""The far ends of the machine's cables: a camera that tries to get out by all it knows, and the world outside that
listens.
"""
import os
import socket
import struct
import threading
import time

CAMERA, GATEWAY = "10.77.0.10", "10.77.0.1"
CAMERA_NIC = bytes.fromhex("020000000101")
DEVICE = bytes.fromhex("0200000000c0")
OUTSIDE = bytes.fromhex("0200000000ee")
BROADCAST = b"\xff" * 6
ETHER_IP, ETHER_ARP, ETHER_IP6, ETHER_VLAN = 0x0800, 0x0806, 0x86DD, 0x8100


def ip4(text):
    return socket.inet_aton(text)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(to, kind, payload, source=DEVICE):
    return to + source + struct.pack("!H", kind) + payload


def ip(source, to, protocol, payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 7, 0, 64, protocol, 0, ip4(source), ip4(to))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def udp(source, to, port, payload, from_port=40000):
    return ip(source, to, 17, struct.pack("!HHHH", from_port, port, 8 + len(payload), 0) + payload)


def tcp(source, to, from_port, port, sequence=1, acknowledged=0, flags=2, payload=b""):
    head = struct.pack("!HHIIBBHHH", from_port, port, sequence, acknowledged, 0x50, flags, 65535, 0, 0) + payload
    pseudo = ip4(source) + ip4(to) + struct.pack("!BBH", 0, 6, len(head))
    head = head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:]
    return ip(source, to, 6, head)


def arp(operation, mac, address, to_mac, to):
    return struct.pack("!HHBBH", 1, ETHER_IP, 6, 4, operation) + mac + ip4(address) + to_mac + ip4(to)


class End(threading.Thread):
    """One far end: gets every frame that the machine sends on that card."""

    def __init__(self, ports):
        super().__init__(daemon=True)
        self.inside, outside = ports
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", outside))
        self.socket.settimeout(0.05)
        self.over, self.frames, self.lock = threading.Event(), [], threading.Lock()

    def send(self, frame):
        try:
            self.socket.sendto(frame.ljust(60, b"\0"), ("127.0.0.1", self.inside))
        except ConnectionRefusedError:
            pass

    def run(self):
        while not self.over.is_set():
            try:
                frame = self.socket.recv(65536)
            except (TimeoutError, ConnectionRefusedError):
                self.idle()
                continue
            with self.lock:
                self.frames.append((time.monotonic(), frame))
            self.take(frame)
            self.idle()

    def idle(self):
        """Now and then."""

    def take(self, frame):
        """A frame came."""

    def since(self, moment):
        with self.lock:
            return [frame for when, frame in self.frames if when >= moment]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()
        self.socket.close()

    def answer_arp(self, frame, mac, address):
        """Whether it was a question for that address, answered."""
        asked = frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\x01" and frame[38:42] == ip4(address)
        if asked:
            who, where = frame[22:28], socket.inet_ntoa(frame[28:32])
            self.send(ethernet(who, ETHER_ARP, arp(2, mac, address, who, where), mac))
        return asked


class Outside(End):
    """The world: answers for the box's router."""

    def take(self, frame):
        self.answer_arp(frame, OUTSIDE, "192.0.2.1")


class Camera(End):
    """A camera that answers nothing but ARP, a RST where it is dialled, and tries everything else all the time."""

    EVERY = 0.1

    def __init__(self, ports, marker):
        super().__init__(ports)
        self.marker, self.sent, self.next = marker, 0, 0

    def take(self, frame):
        if self.answer_arp(frame, DEVICE, CAMERA):
            return
        if frame[12:14] == b"\x08\0" and frame[23] == 6 and frame[47] & 0x12 == 2 and frame[30:34] == ip4(CAMERA):
            from_port, port, sequence = struct.unpack("!HHI", frame[34:42])
            source = socket.inet_ntoa(frame[26:30])
            answer = tcp(CAMERA, source, port, from_port, 0, (sequence + 1) & 0xFFFFFFFF, 0x14)
            self.send(ethernet(frame[6:12], ETHER_IP, answer))

    def ask_for_an_address(self):
        """DHCPDISCOVER."""
        text = struct.pack("!BBBBIHH16x", 1, 1, 6, 0, 0x63616D, 0, 0x8000) + DEVICE + bytes(10 + 192)
        text += bytes.fromhex("63825363") + b"\x35\x01\x01\xff"
        self.send(ethernet(BROADCAST, ETHER_IP, udp("0.0.0.0", "255.255.255.255", 67, text, 68)))

    def offered(self, since):
        """The addresses that it was offered."""
        offers = [frame for frame in self.since(since) if frame[12:14] == b"\x08\0" and frame[23] == 17 and frame[34:38] == b"\0\x43\0\x44"]
        return {socket.inet_ntoa(frame[58:62]) for frame in offers}

    def ask_dns(self, server):
        """A question for a vendor's name, sent by way of the gateway as any camera would."""
        met = [frame for frame in self.since(0) if frame[12:14] == b"\x08\0" and frame[26:30] == ip4(GATEWAY)]
        if met:
            question = b"\x08p2pcloud\x07example\0\0\1\0\1"
            text = b"\x12\x34\1\0\0\1\0\0\0\0\0\0" + question
            self.send(ethernet(met[-1][6:12], ETHER_IP, udp(CAMERA, server, 53, text, 40053)))

    def answered_dns(self, server, since):
        """The response codes it got from that address."""
        def is_answer(frame):
            head = frame[12:14] == b"\x08\0" and frame[23] == 17 and frame[26:30] == ip4(server)
            return head and frame[34:38] == struct.pack("!HH", 53, 40053) and frame[42:44] == b"\x12\x34"

        return {frame[45] & 15 for frame in self.since(since) if is_answer(frame)}

    def idle(self):
        if time.monotonic() < self.next:
            return
        self.next = time.monotonic() + self.EVERY
        for frame in self.attempts():
            self.send(frame)
            self.sent += 1

    def attempts(self):
        """By all ways: to the card itself, to all, and to the outer card, which it should not know of."""
        text = self.marker
        outer = bytes.fromhex("020000000100")
        echo = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + text
        echo = echo[:2] + struct.pack("!H", checksum(echo)) + echo[4:]
        yield ethernet(BROADCAST, ETHER_ARP, arp(1, DEVICE, CAMERA, b"\0" * 6, GATEWAY))
        yield ethernet(BROADCAST, ETHER_ARP, arp(1, DEVICE, CAMERA, b"\0" * 6, "192.0.2.1"))
        yield ethernet(BROADCAST, ETHER_IP, udp(CAMERA, "255.255.255.255", 37020, text))
        yield ethernet(bytes.fromhex("01005e7ffffa"), ETHER_IP, udp(CAMERA, "239.255.255.250", 1900, text))
        yield ethernet(BROADCAST, 0x8899, text)
        yield ethernet(bytes.fromhex("333300000001"), ETHER_IP6, struct.pack("!IHBB", 6 << 28, len(text), 59, 64)
                       + socket.inet_pton(socket.AF_INET6, "fe80::c0") + socket.inet_pton(socket.AF_INET6, "ff02::1") + text)
        for to in (CAMERA_NIC, BROADCAST, outer):
            yield ethernet(to, ETHER_IP, udp(CAMERA, "198.51.100.53", 53, text))
            yield ethernet(to, ETHER_IP, udp(CAMERA, "192.0.2.1", 123, text))
            yield ethernet(to, ETHER_IP, ip(CAMERA, "192.0.2.1", 1, echo))
            yield ethernet(to, ETHER_IP, tcp(CAMERA, "198.51.100.7", 41000, 443, payload=text))
            # From an address of the outer side.
            yield ethernet(to, ETHER_IP, udp("192.0.2.77", "192.0.2.1", 9, text))
            yield ethernet(to, ETHER_VLAN, struct.pack("!HH", 7, ETHER_IP) + udp(CAMERA, "192.0.2.1", 9, text))


def is_camera_s(frame, marker):
    """Whether a frame has anything of the camera in it: its Ethernet address, its IP address, its marker."""
    return marker in frame or DEVICE in frame or ip4(CAMERA) in frame


def pcap_frames(path):
    """The frames of a capture, as qemu writes it."""
    data = path.read_bytes()
    at = 24
    while at + 16 <= len(data):
        length = struct.unpack("<I", data[at + 8:at + 12])[0]
        yield data[at + 16:at + 16 + length]
        at += 16 + length


def new_marker():
    return b"camlock-marker-" + os.urandom(8).hex().encode()
