"""A line between two network namespaces that takes its time: `relay.py NEAR FAR`.

One end is a TUN device where it is started, the other one in a namespace that it makes. `up` is printed when packets pass;
on SIGUSR1, how many did.
"""
import collections
import ctypes
import fcntl
import os
import random
import select
import signal
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF, TUN_WITHOUT_HEADER = 0x400454CA, 0x1001
DELAY, JITTER = 0.03, 0.01
# The simulated cameras listen on loopback alone; what comes over the line is led there.
FAR_RULES = """
table ip soak {
  chain pre {
    type nat hook prerouting priority -100;
    iifname "d0" meta l4proto tcp dnat to 127.0.0.1
  }
}
"""


def tun(own, other):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", b"d0", TUN_WITHOUT_HEADER))
    must("ip", "address", "add", own, "peer", other, "dev", "d0")
    must("ip", "link", "set", "d0", "up", "mtu", "1500")
    return device


def must(*command, **options):
    subprocess.run(command, check=True, **options)


def open_ends(near, far):
    first = tun(near, far)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    must("ip", "link", "set", "lo", "up")
    second = tun(far, near)
    with open("/proc/sys/net/ipv4/conf/d0/route_localnet", "w") as route:
        route.write("1")
    must("nft", "-f", "-", input=FAR_RULES, text=True)
    return first, second


def relay(ends, told):
    """Each way keeps its order; a packet waits for the delay and for the one before it."""
    to = {ends[0]: ends[1], ends[1]: ends[0]}
    waiting = {end: collections.deque() for end in ends}
    while True:
        due = min((queue[0][0] for queue in waiting.values() if queue), default=None)
        readable, _, _ = select.select(ends, [], [], None if due is None else max(0, due - time.monotonic()))
        for end in readable:
            take(end, waiting[to[end]])
        for end, queue in waiting.items():
            while queue and queue[0][0] <= time.monotonic():
                told["carried"] += 1
                try:
                    os.write(end, queue.popleft()[1])
                except BlockingIOError:
                    pass  # A queue that is full loses packets; TCP knows.


def take(end, queue):
    for _ in range(64):
        try:
            packet = os.read(end, 2000)
        except BlockingIOError:
            return
        before = queue[-1][0] if queue else 0
        queue.append((max(before, time.monotonic() + DELAY + random.uniform(0, JITTER)), packet))


def main():
    told = {"carried": 0}
    ends = open_ends(*sys.argv[1:])
    signal.signal(signal.SIGUSR1, lambda *_: print("carried", told["carried"], flush=True))
    print("up", flush=True)
    relay(ends, told)


if __name__ == "__main__":
    main()
