"""The laboratory of the segment's tests: cameras, box and outside as network namespaces of their own.

    device ─┐                             ┌──────────── box ────────────┐
    device ─┴─ switch1 ── port1 ═══ eth1 ─┤ segment namespace │  eth0 ══╪══ out0 ── outside
    device ─── switch2 ── port2 ═══ eth2 ─┤                   │         │
                                          └───────────────────┴─────────┘
Everything is made for one test and taken away after it; the machine's own network is not touched. Commands run in a
namespace with `with lab.inside("box"):`, which moves this thread, so that sockets and children are in it.
"""
import contextlib
import ctypes
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

import peers
from conftest import left_out
from peers import wait_for

# The segment's service and the gateway run as these users; a Debian system has nobody with them.
SEGMENT_USER, GATEWAY_USER = 64101, 64102
GATEWAY, SUBNET = "10.77.0.1", "10.77.0.1/24"
BOX, OUTSIDE = "192.0.2.1", "192.0.2.2"
TOOLS = ["ip", "bridge", "nft", "nsenter", "setpriv", "tcpdump"]
CLONE_NEWNET = 0x40000000
SERVICE_CAPABILITIES = "+net_raw,+net_bind_service"


def needs(*tools):
    """Root, and these tools."""
    missing = [tool for tool in [*TOOLS, *tools] if not find(tool)]
    why = "network namespaces need root" if os.geteuid() != 0 else f"tools are missing: {missing}" if missing else ""
    return left_out(why)


def find(tool):
    return shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin")


def sh(*command, check=True, timeout=30, **options):
    """Runs a command; what it said goes into the failure."""
    done = subprocess.run([str(c) for c in command], capture_output=True, timeout=timeout, text=True, **options)
    assert not check or done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done


@contextlib.contextmanager
def within(namespace):
    """This thread in a namespace."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(path):
        with open(path) as file:
            if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"setns {path}")

    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        enter(f"/run/netns/{namespace}")
        yield
    finally:
        enter(f"/proc/self/fd/{home}")
        os.close(home)


class Device:
    """A device on the camera side: a namespace with one interface, `c0`."""

    def __init__(self, lab, name, mac, address, switch):
        self.lab, self.name, self.mac, self.address = lab, name, mac, address
        self.namespace = lab.make(f"cam-{lab.tag}-{name}")
        port = f"p{len(lab.devices)}"
        ip = lambda *args: sh("ip", "-n", self.namespace, *args)  # noqa: E731
        sh("ip", "-n", lab.cam, "link", "add", port, "type", "veth", "peer", "name", "c0", "netns", self.namespace)
        sh("ip", "-n", lab.cam, "link", "set", port, "master", f"switch{switch}", "up")
        # Of its own accord its kernel says no more than a test asks for.
        quiet(self.namespace)
        with self.inside():
            sh("nft", "-f", "-", input="table inet quiet {\nchain output {\ntype filter hook output priority 0\nip protocol icmp drop\n}\n}\n")
        ip("link", "set", "c0", "address", mac)
        ip("link", "set", "lo", "up")
        ip("link", "set", "c0", "up")
        if address:
            ip("address", "add", f"{address}/24", "dev", "c0")
            ip("route", "add", "default", "via", GATEWAY)

    def inside(self):
        return within(self.namespace)

    def run(self, *command, **options):
        with self.inside():
            return sh(*command, **options)


class Capture:
    """tcpdump on one interface; `frames()` ends it and gives what it saw."""

    def __init__(self, lab, namespace, interface):
        self.file = lab.work / f"{namespace}-{interface}-{secrets.token_hex(4)}.pcap"
        with within(namespace):
            self.process = peers.Process(
                find("tcpdump"), "-i", interface, "-n", "-U", "-s", "0", "--immediate-mode", "-B", "8192", "-Z", "root",
                "-w", self.file,
            )
        lab.stack.callback(self.process.__exit__)
        wait_for(lambda: "listening on" in self.process.said(), "tcpdump does not listen")

    def frames(self):
        self.process.stop(signal.SIGINT)
        assert "0 packets dropped by kernel" in self.process.said(), self.process.said()
        data, at, frames = self.file.read_bytes(), 24, []
        while at + 16 <= len(data):
            length = struct.unpack_from("<I", data, at + 8)[0]
            frames.append(data[at + 16 : at + 16 + length])
            at += 16 + length
        return frames


class Lab:
    """See above. `cameras`: name -> (Ethernet address, IP address, ports) of the segment file."""

    def __init__(self, cameras, dns="nxdomain", dhcp=False, ports=1):
        self.tag, self.devices, self.stack = secrets.token_hex(3), {}, contextlib.ExitStack()
        self.cameras, self.dns, self.dhcp = cameras, dns, dhcp
        # The numbers of switches, and of the box's interfaces that they are plugged into.
        self.ports = range(1, ports + 1)
        self.segment = f"seg-{self.tag}"
        self.service = self.gateway = None

    def __enter__(self):
        try:
            self.build()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_):
        self.stack.close()

    def build(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="camlock-lab-"))
        self.stack.callback(shutil.rmtree, self.work, True)
        # Others than root run the program and look into their own directories.
        self.work.chmod(0o755)
        self.binary = self.work / "camlock"
        shutil.copy(peers.BINARY, self.binary)
        self.run_dir, self.state_dir = self.work / "run", self.work / "segment-state"
        for directory in [self.run_dir, self.state_dir]:
            directory.mkdir()
            os.chown(directory, SEGMENT_USER, SEGMENT_USER)
        self.state_dir.chmod(0o700)
        self.file = self.work / "segment.toml"
        self.write_file()
        self.cam, self.box, self.out = (self.make(f"{name}-{self.tag}") for name in ["cam", "box", "out"])
        # The segment's namespace is the commands' to make; it goes with the rest.
        self.stack.callback(delete, self.segment)
        quiet(self.cam)
        for number in self.ports:
            self.plug(number)
        sh("ip", "-n", self.box, "link", "add", "eth0", "type", "veth", "peer", "name", "out0", "netns", self.out)
        for namespace, interface, address in [(self.box, "eth0", BOX), (self.out, "out0", OUTSIDE)]:
            sh("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", interface)
            sh("ip", "-n", namespace, "link", "set", interface, "up")
            sh("ip", "-n", namespace, "link", "set", "lo", "up")
        sh("ip", "-n", self.box, "route", "add", "default", "via", OUTSIDE)
        # The outside is the internet, and it would find the way back.
        sh("ip", "-n", self.out, "route", "add", "10.77.0.0/24", "via", BOX)

    def plug(self, number):
        """A switch, and the cable between it and the box. It passes LLDP on, which cheap ones do."""
        switch, port = f"switch{number}", f"port{number}"
        ip = lambda *args: sh("ip", "-n", self.cam, "link", *args)  # noqa: E731
        ip("add", switch, "type", "bridge", "mcast_snooping", "0", "group_fwd_mask", "0x4000")
        ip("set", switch, "up")
        ip("add", port, "type", "veth", "peer", "name", f"eth{number}", "netns", self.box)
        ip("set", port, "master", switch, "up")

    def make(self, namespace):
        sh("ip", "netns", "add", namespace)
        self.stack.callback(delete, namespace)
        return namespace

    def write_file(self, more=""):
        interfaces = json.dumps([f"eth{number}" for number in self.ports])
        text = f'[segment]\ninterfaces = {interfaces}\naddress = "{SUBNET}"\ndns = "{self.dns}"\n'
        text += f"dhcp = {str(self.dhcp).lower()}\nuplinks = [\"eth0\"]\n"
        for name, (mac, address, ports) in self.cameras.items():
            text += f'[[camera]]\nname = "{name}"\nmac = "{mac}"\naddress = "{address}"\nports = {ports}\n'
        self.file.write_text(text + more)

    def device(self, name, mac, address, switch=1):
        self.devices[name] = device = Device(self, name, mac, address, switch)
        return device

    def place(self):
        return [
            "--namespace", self.segment, "--file", self.file, "--run-dir", self.run_dir, "--state-dir", self.state_dir,
        ]

    def command(self, name, *more, check=True, timeout=30):
        """One of root's one-shots, in the box's network."""
        if name in ["up", "apply"]:
            more = ["--net-dir", self.work / "net", "--leases", self.work / "leases", "--dhcp-user", "root",
                    "--dhcp-group", "root", *more]
        with within(self.box):
            return sh(self.binary, "segment", name, *self.place(), *more, check=check, timeout=timeout)

    def up(self, *more):
        self.command("guard")
        self.command("up", *more)

    def forwarding(self):
        """Waits until frames go through the cables; they do only a moment after the links are up."""
        ends = [(self.segment, f"eth{number}") for number in self.ports] + [(self.cam, f"port{number}") for number in self.ports]
        for namespace, port in ends:
            show = ["bridge", "-n", namespace, "-j", "link", "show", "dev", port]
            wait_for(lambda show=show: json.loads(sh(*show).stdout)[0]["state"] == "forwarding", f"{port} does not forward")

    def start_service(self, **options):
        """`camlock segment run` as the unit starts it: in the namespace, as nobody of importance."""
        with within(self.segment):
            self.service = peers.Process(
                find("setpriv"), f"--reuid={SEGMENT_USER}", f"--regid={SEGMENT_USER}", "--clear-groups",
                f"--inh-caps=-all,{SERVICE_CAPABILITIES}", f"--ambient-caps=-all,{SERVICE_CAPABILITIES}",
                f"--bounding-set=-all,{SERVICE_CAPABILITIES}", self.binary, "segment", "run", *self.place(), **options,
            )
        self.stack.callback(self.service.__exit__)
        door = self.run_dir / "door.sock"
        wait_for(lambda: reachable(door) or not self.service.alive(), "the door does not open")
        assert self.service.alive(), self.service.said()
        return self.service

    def stop_service(self, how=signal.SIGTERM):
        """Ends it, and closes the links as its unit does."""
        self.service.stop(how)
        self.command("closed")

    def start_gateway(self, config, own="", ready=True):
        """`own`: more lines of the table `gateway`; `ready`: whether it is to be ready at once."""
        self.gateway = Gateway(self, config, own, ready=ready)
        self.stack.callback(self.gateway.__exit__)
        return self.gateway

    def start_dhcp(self):
        """dnsmasq with the files that `up` wrote."""
        with within(self.segment):
            server = peers.Process(find("dnsmasq"), "--keep-in-foreground", f"--conf-file={self.work}/net/dnsmasq.conf")
        self.stack.callback(server.__exit__)
        return server

    def capture(self, namespace, interface):
        return Capture(self, namespace, interface)

    def nft(self, namespace, *words):
        return json.loads(sh("nsenter", f"--net=/run/netns/{namespace}", "nft", "-j", *words).stdout)["nftables"]

    def counters(self):
        """Name -> packets of all tables in the segment; those that are not 0."""
        entries = [entry["counter"] for entry in self.nft(self.segment, "list", "counters") if "counter" in entry]
        return {entry["name"]: entry["packets"] for entry in entries if entry["packets"]}

    def records(self):
        """The ledger's records, oldest first, once all that was seen is written."""
        self.flush()
        files = sorted((self.state_dir / "ledger").glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def flush(self):
        assert "records" in self.control({"flush": True})

    def control(self, command):
        """The service's answer to a command of root's."""
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as control:
            control.settimeout(20)
            control.connect(str(self.run_dir / "control.sock"))
            control.sendall(json.dumps(command).encode() + b"\n")
            return json.loads(control.makefile().readline())


class Gateway(peers.Gateway):
    """In the box's network, without any capability, with the segment's door; its clients come to the box's outer address."""

    host = BOX

    def __init__(self, lab, config, own, **options):
        self.lab = lab
        state = lab.work / "gateway-state"
        state.mkdir(exist_ok=True)
        os.chown(state, GATEWAY_USER, GATEWAY_USER)
        with within(lab.box):
            super().__init__(lab.work, config, own=f'segment = "{lab.run_dir}"\n{own}', **options)

    def command(self):
        return [
            find("setpriv"), f"--reuid={GATEWAY_USER}", f"--regid={GATEWAY_USER}", f"--groups={SEGMENT_USER}",
            "--inh-caps=-all", "--bounding-set=-all", self.lab.binary, "run", "--config", self.config,
        ]

    def near_admin(self):
        return within(self.lab.box)

    def near_clients(self):
        return within(self.lab.out)


def quiet(namespace):
    """No IPv6 of the kernel's own."""
    with within(namespace):
        for which in ["all", "default"]:
            pathlib.Path(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6").write_text("1")


def reachable(path):
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
        with contextlib.suppress(OSError):
            client.connect(str(path))
            return True
    return False


def delete(namespace):
    """With the processes that a test left in it."""
    for process in sh("ip", "netns", "pids", namespace, check=False).stdout.split():
        with contextlib.suppress(OSError):
            os.kill(int(process), signal.SIGKILL)
    sh("ip", "netns", "delete", namespace, check=False)
