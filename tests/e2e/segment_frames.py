"""Frames of every kind that a device on the segment may send, and what the ledger must say about each."""
import socket
import struct

ALL = b"\xff" * 6
OWN, OUT, GROUP = "10.77.0.1", "9.9.9.9", "239.255.255.250"


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


class Device:
    """A sender: its Ethernet address, its IP address, the gateway's Ethernet address."""

    def __init__(self, address, ip, gateway):
        self.mac, self.ip, self.gateway = mac(address), ip, mac(gateway)

    def ethernet(self, kind, payload, to=None, tag=b""):
        return (to or self.gateway) + self.mac + tag + struct.pack(">H", kind) + payload

    def ipv4(self, protocol, payload, to=OUT, source=None, options=b"", fragment=0, mac_to=None):
        length = 20 + len(options) + len(payload)
        head = struct.pack(">BBHHHBBH", 0x45 + len(options) // 4, 0, length, 1, fragment, 64, protocol, 0)
        head += socket.inet_aton(source or self.ip) + socket.inet_aton(to) + options
        head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
        return self.ethernet(0x0800, head + payload, mac_to or (ALL if to.startswith("255.") else None))

    def ipv6(self, following, payload):
        ends = b"\xfe\x80" + bytes(13) + b"\x09" + b"\xff\2" + bytes(13) + b"\1"
        head = struct.pack(">IHBB", 6 << 28, len(payload), following, 255)
        return self.ethernet(0x86DD, head + ends + payload, bytes([0x33, 0x33, 0, 0, 0, 1]))

    def udp(self, port, payload=b"x", to=OUT, **more):
        own = 68 if port == 67 else 40000
        return self.ipv4(17, struct.pack(">HHHH", own, port, 8 + len(payload), 0) + payload, to, **more)

    def tcp(self, port, to=OUT, flags=2, **more):
        head = struct.pack(">HHIIBBHHH", 40000, port, 1, 0, 0x50, flags, 1024, 0, 0)
        ends = socket.inet_aton(more.get("source") or self.ip) + socket.inet_aton(to)
        total = checksum(ends + struct.pack(">BBH", 0, 6, len(head)) + head)
        return self.ipv4(6, head[:16] + struct.pack(">H", total) + head[18:], to, **more)

    def arp(self, to, operation=1):
        ends = self.mac + socket.inet_aton(self.ip) + bytes(6) + socket.inet_aton(to)
        return self.ethernet(0x0806, b"\0\1\x08\0\6\4" + struct.pack(">H", operation) + ends, ALL)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def question(name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", 7, 256, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


def everything(device):
    """(frame, (protocol, destination, port, name, verdict)) for each kind."""
    ip = {"ip": OUT}
    all_nodes = {"ip": "ff02::1"}
    broadcast = {"mac": "ff:ff:ff:ff:ff:ff"}
    group = {"ip": GROUP}
    stun = b"\0\1\0\x08\x21\x12\xa4\x42abcdefghijkl\0\6\0\3me!\0"
    soap = b"<e:Envelope><w:Action>http://x/Probe</w:Action><d:Types>dn:Camera</d:Types></e:Envelope>"
    dhcp = bytes(236) + b"\x63\x82\x53\x63\x35\1\1\x0c\6camera\x3c\4acme\xff"
    quic = b"\xc3\0\0\0\1\x08" + bytes(40)
    d = device
    return [
        (d.udp(53, question("hard.example")), ("dns", ip, 53, "hard.example", "answered")),
        (d.udp(53, question("own.example"), OWN), ("dns", {"ip": OWN}, 53, "own.example", "answered")),
        (d.udp(853, quic), ("dns_over_tls", ip, 853, None, "dropped")),
        (d.udp(123, b"\x23" + bytes(47)), ("ntp", ip, 123, None, "answered")),
        (d.udp(67, dhcp, "255.255.255.255"), ("dhcp", {"ip": "255.255.255.255"}, 67, "camera (acme)", "dropped")),
        (d.udp(31007, stun), ("stun", ip, 31007, "me!", "dropped")),
        (d.udp(1900, b"M-SEARCH * HTTP/1.1\r\nST: upnp:rootdevice\r\n\r\n", GROUP),
         ("ssdp", group, 1900, "upnp:rootdevice", "dropped")),
        (d.udp(5353, question("cam.local"), "224.0.0.251"), ("mdns", {"ip": "224.0.0.251"}, 5353, "cam.local", "dropped")),
        (d.udp(5355, question("wpad"), "224.0.0.252"), ("llmnr", {"ip": "224.0.0.252"}, 5355, "wpad", "dropped")),
        (d.udp(137, b"x"), ("net_bios", ip, 137, None, "dropped")),
        (d.udp(3702, soap, GROUP), ("ws_discovery", group, 3702, "dn:Camera", "dropped")),
        (d.udp(37020, b"<Probe><Types>inquiry</Types></Probe>", GROUP), ("sadp", group, 37020, "inquiry", "dropped")),
        (d.udp(37810, b"DHIP", "239.255.255.251"), ("dh_discover", {"ip": "239.255.255.251"}, 37810, None, "dropped")),
        (d.udp(34569, b"\xff", "255.255.255.255"), ("xmeye", {"ip": "255.255.255.255"}, 34569, None, "dropped")),
        (d.udp(443, quic), ("quic", ip, 443, None, "dropped")),
        (d.udp(8800), ("udp", ip, 8800, None, "dropped")),
        (d.tcp(8666), ("tcp", ip, 8666, None, "sunk")),
        (d.tcp(443), ("tls", ip, 443, None, "sunk")),
        (d.tcp(80, OWN), ("http", {"ip": OWN}, 80, None, "dropped")),
        (d.tcp(853), ("dns_over_tls", ip, 853, None, "sunk")),
        (d.tcp(25), ("smtp", ip, 25, None, "sunk")),
        (d.tcp(81, flags=1), ("tcp", ip, 81, None, "dropped")),
        (d.tcp(82, source="9.8.7.6"), ("tcp", ip, 82, None, "dropped")),
        (d.tcp(83, "10.77.0.11", mac_to=mac("02:00:00:00:00:11")), ("tcp", {"ip": "10.77.0.11"}, 83, None, "dropped")),
        (d.udp(5001, options=b"\1\x83\3\4"), ("udp", ip, 5001, None, "dropped")),
        (d.ipv4(17, b"later...", fragment=2), ("fragment", ip, 17, None, "dropped")),
        (d.ipv4(1, b"\x08" + bytes(7)), ("icmp", ip, 8, None, "dropped")),
        (d.ipv4(2, b"\x16" + bytes(7)), ("igmp", ip, 22, None, "dropped")),
        (d.ipv4(47, b"\0\0\x08\0"), ("gre", ip, None, None, "dropped")),
        (d.ipv4(132, struct.pack(">HH", 1, 5000) + bytes(8)), ("sctp", ip, 5000, None, "dropped")),
        (d.ipv4(89, b"ospf"), ("ip", ip, 89, None, "dropped")),
        (d.ipv4(17, bytes(3)), ("malformed", ip, None, None, "dropped")),
        (d.arp(OWN), ("arp", {"ip": OWN}, None, None, "answered")),
        (d.arp("10.77.0.99"), ("arp", {"ip": "10.77.0.99"}, None, None, "dropped")),
        (d.ipv6(58, b"\x85" + bytes(7)), ("icmpv6", all_nodes, 133, None, "dropped")),
        (d.ipv6(58, b"\x86" + bytes(15)), ("icmpv6", all_nodes, 134, None, "dropped")),
        (d.ipv6(0, b"\x3a\0\5\2\0\0\1\0\x8f" + bytes(7)), ("icmpv6", all_nodes, 143, None, "dropped")),
        (d.ipv6(60, b"\x11\0\1\4\0\0\0\0" + struct.pack(">HHHH", 1, 547, 8, 0)), ("dhcpv6", all_nodes, 547, None, "dropped")),
        (d.ipv6(44, b"\x11\0\0\x08\0\0\0\1" + bytes(8)), ("fragment", all_nodes, 17, None, "dropped")),
        (d.ethernet(0x8033, b"\x21\2\1" + bytes(60), ALL), ("sadp", broadcast, None, None, "dropped")),
        (d.ethernet(0x88B5, b"raw", ALL), ("ethernet", broadcast, 0x88B5, None, "dropped")),
        (d.ethernet(0x88CC, b"\2\7\4\2\0\0\0\0\x10\x0a\3cam\0\0", mac("01:80:c2:00:00:0e")),
         ("lldp", {"mac": "01:80:c2:00:00:0e"}, None, "cam", "dropped")),
        (d.ethernet(0x0800, d.udp(6001)[14:], tag=b"\x81\0\xe0\0"),
         ("vlan", {"mac": "02:ca:0a:4d:00:01"}, None, None, "dropped")),
        (d.ethernet(0x0800, b"\x45\0\0\x14" + bytes(16), ALL, b"\x81\0\0\5"), ("vlan", broadcast, None, None, "dropped")),
    ]
