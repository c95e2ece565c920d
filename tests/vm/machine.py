"""A running virtual machine: two network cards whose other ends are sockets of the host, and code run within it."""
import ctypes
import json
import os
import signal
import socket
import subprocess
import time

OUT_MAC, CAMERA_MAC = "02:00:00:00:01:00", "02:00:00:00:01:01"
MEMORY = "1024"


def free_udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def end_with_us():
    """In the child: it ends with this process, however that ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Failed(AssertionError):
    """What the machine said about it."""


class Machine:
    """Started by `with`; its drop ends it."""

    def __init__(self, cache, work, disk):
        self.work, self.disk = work, disk
        self.command, self.environment = cache.qemu_command()
        self.ports = {name: (free_udp(), free_udp()) for name in ("out", "camera")}
        self.console, self.channel = work / "console.log", None

    def pcap(self, name):
        return self.work / f"{name}.pcap"

    def __enter__(self):
        agent = self.work / "agent.socket"
        agent.unlink(missing_ok=True)
        nets = []
        for name, mac in (("out", OUT_MAC), ("camera", CAMERA_MAC)):
            inside, outside = self.ports[name]
            nets += [
                "-netdev", f"socket,id={name},udp=127.0.0.1:{outside},localaddr=127.0.0.1:{inside}",
                "-device", f"virtio-net-pci,netdev={name},mac={mac},romfile=",
                "-object", f"filter-dump,id=dump-{name},netdev={name},file={self.pcap(name)}",
            ]
        self.process = subprocess.Popen(
            [
                *self.command, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", MEMORY,
                "-nodefaults", "-no-user-config", "-display", "none", "-serial", f"file:{self.console}",
                "-kernel", str(self.work / "kernel"), "-initrd", str(self.work / "initrd"),
                "-append", "console=ttyS0 root=/dev/vda rw quiet net.ifnames=0 mitigations=off panic=1",
                "-drive", f"file={self.disk},format=raw,if=virtio,cache=unsafe",
                "-chardev", f"socket,id=agent,path={agent},server=on,wait=off",
                "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=camlock.test",
                *nets,
            ],
            env=self.environment, stdin=subprocess.DEVNULL, preexec_fn=end_with_us,
        )
        try:
            deadline = time.monotonic() + 10
            while not agent.exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            self.channel = socket.socket(socket.AF_UNIX)
            self.channel.connect(str(agent))
            self.file = self.channel.makefile("rb")
            self.wait_hello()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        if self.channel:
            self.channel.close()

    def said(self):
        return self.console.read_text(errors="replace")[-3000:] if self.console.exists() else ""

    def line(self, seconds):
        self.channel.settimeout(seconds)
        try:
            return json.loads(self.file.readline())
        except (TimeoutError, ValueError) as error:
            raise Failed(f"the machine says nothing ({error}); its console:\n{self.said()}") from error

    def wait_hello(self, seconds=240):
        """Seconds until the machine is there."""
        began = time.monotonic()
        while "hello" not in self.line(seconds):
            pass
        return time.monotonic() - began

    def do(self, code, seconds=120):
        """Runs code within the machine (see agent.py); what it left in `result`."""
        self.channel.sendall(json.dumps({"code": code}).encode() + b"\n")
        answer = self.line(seconds)
        if "hello" in answer:
            raise Failed(f"the machine began anew; its console:\n{self.said()}")
        if "error" in answer:
            raise Failed(answer["error"])
        return answer["result"]

    def shell(self, command, seconds=120):
        return self.do(f"result = must({command!r}, {seconds})", seconds + 10)

    def reboot(self):
        """Seconds until it is there again."""
        self.do("run('systemctl reboot --no-block')")
        return self.wait_hello()
