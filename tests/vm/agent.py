"""Runs in the virtual machine: takes Python code line by line from the host, answers what it left in `result`.

Its functions are what the code may use; they measure within the machine, so that the host's load counts little.
"""
import ctypes
import fcntl
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
import traceback

PORT = "/dev/virtio-ports/camlock.test"
PIN = "/run/netns/camlock"
SIOCGIFFLAGS, IFF_UP, CLONE_NEWNET = 0x8913, 1, 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
__all__ = ["os", "signal", "time"]


def run(command, timeout=120):
    """Exit status and all that a shell command says."""
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
    return done.returncode, done.stdout.decode(errors="replace")


def must(command, timeout=120):
    status, said = run(command, timeout)
    if status:
        raise RuntimeError(f"{command}: {status}: {said}")
    return said


def show(unit, *names):
    """Properties of a unit."""
    said = must(f"systemctl show {unit} --property={','.join(names)}")
    return dict(line.split("=", 1) for line in said.splitlines())


def pid(unit):
    return int(show(unit, "MainPID")["MainPID"])


def running(unit):
    """The number of its process, once it has one: another step may have it restarted just now."""
    until(lambda: pid(unit), 30, 0.1)
    number = pid(unit)
    if not number:
        raise RuntimeError(f"{unit} does not run")
    return number


def until(condition, seconds, every=0.02):
    """Seconds until it holds, None if it never does."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if condition():
            return round(time.monotonic() - began, 2)
        time.sleep(every)
    return None


def in_namespace(pin, work):
    """What `work` returns on a thread in another network namespace; None if there is no such namespace."""
    got = []

    def enter():
        try:
            fd = os.open(pin, os.O_RDONLY)
        except OSError:
            return
        try:
            if LIBC.setns(fd, CLONE_NEWNET) == 0:
                got.append(work())
        finally:
            os.close(fd)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return got[0] if got else None


def is_up(name):
    """Whether an interface of this thread's network is up, None if there is none."""
    with socket.socket() as probe:
        try:
            answer = fcntl.ioctl(probe, SIOCGIFFLAGS, struct.pack("16sH14x", name.encode(), 0))
        except OSError:
            return None
        return bool(struct.unpack("16sH14x", answer)[1] & IFF_UP)


def link(name):
    """Where an interface is, and whether it is up: ("segment" | "box" | None, bool)."""
    inside = in_namespace(PIN, lambda: is_up(name))
    if inside is not None:
        return "segment", inside
    outside = is_up(name)
    return (None, False) if outside is None else ("box", outside)


class Watch:
    """Samples an interface's state for as long as the block lasts: the states it was in, in order."""

    def __init__(self, name):
        self.name, self.states, self.over = name, [], threading.Event()

    def sample(self):
        while not self.over.is_set():
            state = link(self.name)
            if not self.states or self.states[-1] != state:
                self.states.append(state)
            time.sleep(0.01)

    def __enter__(self):
        self.thread = threading.Thread(target=self.sample)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def connects(port=8322, seconds=10):
    """Whether a client is served: "served" after a TLS handshake, else how it failed."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=seconds) as raw:
            with context.wrap_socket(raw):
                return "served"
    except ConnectionRefusedError:
        return "refused"
    except OSError as error:
        return repr(error)


def served_again(seconds):
    """Seconds until a client is served, and how those before it failed."""
    failures = []

    def served():
        end = connects(seconds=seconds)
        if end != "served":
            failures.append(end)
        return end == "served"

    return until(served, seconds), failures


def segment_again(interface, before, seconds):
    """Seconds until the segment's service is another process, ready, and its link up."""
    def again():
        # What costs little first: the processor is wanted for the restart.
        if os.path.exists(f"/proc/{before}") or link(interface) != ("segment", True):
            return False
        state = show("camlock-segment", "MainPID", "ActiveState")
        return state["ActiveState"] == "active" and int(state["MainPID"]) not in (0, before)

    return until(again, seconds, 0.05)


def work(rounds=300_000):
    """Seconds of a fixed piece of work: how much slower this processor is than the host's."""
    began = time.monotonic()
    sum(i * i for i in range(rounds))
    return time.monotonic() - began


def main():
    with open(PORT, "r+b", buffering=0) as port:
        port.write(json.dumps({"hello": os.path.exists("/usr/bin/camlock")}).encode() + b"\n")
        pending = b""
        while True:
            chunk = port.read(65536)
            if not chunk:
                time.sleep(0.05)
                continue
            pending += chunk
            while b"\n" in pending:
                line, pending = pending.split(b"\n", 1)
                names = dict(globals())
                try:
                    exec(json.loads(line)["code"], names)
                    answer = {"result": names.get("result")}
                except BaseException:
                    answer = {"error": traceback.format_exc()}
                port.write(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main()
