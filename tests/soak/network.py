"""Namespaces of the soak's own, so that loss, delay and pulled cables are real and nobody else's.

The soak starts itself anew in a network and a process namespace (`unshare`). Both end with its first process, however that
ends, and everything in them: nothing has to be tidied up, and nothing of the machine's own network is touched. A second
network, behind the relay, is where the far cameras are.
"""
import asyncio
import json
import os
import pathlib
import signal
import subprocess
import sys

import peers

HERE = pathlib.Path(__file__).resolve().parent
INSIDE = "CAMLOCK_SOAK_INSIDE"
NAMESPACES = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
NEAR, FAR = "10.98.0.1", "10.98.0.2"

# `cut`: the gateway is answered with a reset. `pulled`: nothing comes and nothing goes. `lossy`: one packet in a hundred is
# lost on its way in. Counters say that it was done.
NEAR_RULES = """
table inet soak {
  set cut { type inet_service; }
  set pulled { type inet_service; }
  set lossy { type inet_service; }
  counter cut {}
  counter pulled {}
  counter lossy {}
  chain in {
    type filter hook input priority 0;
    tcp dport @cut counter name cut reject with tcp reset
    tcp dport @pulled counter name pulled drop
    tcp sport @pulled counter name pulled drop
    iifname "d0" tcp sport @lossy numgen random mod 100 < 1 counter name lossy drop
  }
}
"""


def enter(arguments, work):
    """Runs this program inside, with `work` for its files; returns its status, or `None` if this machine does not let us."""
    # However this process ends, what it started ends with it.
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES]
    if os.geteuid() != 0:
        command.append("--map-root-user")
    if subprocess.run([*command, "true"], capture_output=True).returncode != 0:
        return None
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    child = subprocess.Popen([*command, sys.executable, *arguments], env={**os.environ, INSIDE: str(work)})
    try:
        return child.wait()
    except KeyboardInterrupt:
        return 130
    finally:
        child.kill()
        child.wait()


class Network:
    """The network in which the soak runs, and the one behind the relay. `lacks`: what cannot be done here, and why."""

    def __init__(self):
        self.lacks, self.relay, self.filters = [], None, False
        if INSIDE not in os.environ:
            self.lacks.append("loss, delay, pulled cables and cut connections: no namespaces without root")
            return
        must("ip", "link", "set", "lo", "up")
        loaded = subprocess.run(["nft", "-f", "-"], input=NEAR_RULES, text=True, capture_output=True)
        self.filters = loaded.returncode == 0
        if not self.filters:
            self.lacks.append(f"loss, pulled cables and cut connections: {loaded.stderr.strip() or 'no nft'}")
        self.relay = self.start_relay()

    def start_relay(self):
        relay = peers.Process(sys.executable, HERE / "relay.py", NEAR, FAR)
        try:
            relay.first_line("up")
            return relay
        except AssertionError:
            self.lacks.append(f"delay and loss: no relay: {relay.said().strip().splitlines()[-1:]}")
            relay.__exit__()
            return None

    def far(self, *command):
        """A command that runs behind the relay."""
        return ["nsenter", f"--net=/proc/{self.relay.process.pid}/ns/net", "--", *command]

    async def put(self, kind, ports):
        await self.element("add", kind, ports)

    async def take(self, kind, ports):
        await self.element("delete", kind, ports)

    async def element(self, verb, kind, ports):
        ports = ",".join(str(port) for port in ports)
        nft = await asyncio.create_subprocess_exec("nft", verb, "element", "inet", "soak", kind, f"{{ {ports} }}")
        assert await nft.wait() == 0

    def counted(self):
        """Packets by what was done to them."""
        listed = must("nft", "-j", "list", "counters")
        counters = [item["counter"] for item in json.loads(listed)["nftables"] if "counter" in item]
        return {counter["name"]: counter["packets"] for counter in counters}

    def carried(self):
        """Packets that the relay delayed so far."""
        self.relay.process.send_signal(signal.SIGUSR1)
        return int(self.relay.first_line(r"carried (\d+)")[1])

    def close(self):
        if self.relay:
            self.relay.__exit__()


def must(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
