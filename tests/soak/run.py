"""The soak: fifty cameras with faults, two hundred readers that come and go, and a configuration that changes.

    ./test.sh --soak MINUTES

Ends with 1 if anything was not as it should be. `--seed` makes the same choices again; the machine's own pace is not in it.
"""
import argparse
import asyncio
import os
import pathlib
import random
import resource
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

import network  # noqa: E402
import peers  # noqa: E402
from cameras import Fleet, over  # noqa: E402
from readers import Crowd  # noqa: E402
from reloads import SAID, Configuration, Reloads  # noqa: E402
from truth import Findings  # noqa: E402
from watch import RSS_DRIFT_MIB, Watch  # noqa: E402

ALL_PLAY = 40
CPU_TICKS = os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", type=minutes, help="minutes under load; starting and ending take at most one more")
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    args = parser.parse_args()
    if network.INSIDE in os.environ:
        try:
            sys.exit(asyncio.run(soak(args, pathlib.Path(os.environ[network.INSIDE]))))
        except KeyboardInterrupt:
            sys.exit("interrupted")
    with tempfile.TemporaryDirectory(prefix="camlock-soak-") as work:
        status = network.enter(sys.argv, work)
        if status is None:
            status = asyncio.run(soak(args, pathlib.Path(work)))
    sys.exit(status)


def minutes(text):
    """Below one minute there is no room for a fault at each camera."""
    if float(text) < 1:
        raise argparse.ArgumentTypeError("at least 1 minute")
    return float(text)


async def soak(args, work):
    random.seed(args.seed)
    findings, net = Findings(), network.Network()
    for lack in net.lacks:
        print(f"LEFT OUT {lack}", flush=True)
    if net.lacks and os.environ.get("CI") == "true":
        print("in CI nothing may be left out")
        return 1
    fleet = Fleet(net, work)
    try:
        configuration = Configuration(fleet)
        with peers.Gateway(work, configuration.text()) as gateway:
            try:
                return await Soak(args, net, fleet, configuration, gateway, findings).run()
            finally:
                if findings.total():
                    words = [line for line in gateway.said().splitlines() if "no longer pulled" not in line]
                    print("the gateway's last words:", *words[-30:], sep="\n  ")
    finally:
        fleet.close()
        net.close()


class Soak:
    def __init__(self, args, net, fleet, configuration, gateway, findings):
        self.args, self.net, self.fleet, self.gateway, self.findings = args, net, fleet, gateway, findings
        self.configuration = configuration
        self.reloads = Reloads(gateway, configuration, findings)
        self.watch = Watch(gateway, self.reloads.cameras, findings)
        always = [camera for camera in fleet.cameras if not camera.on_demand]
        self.crowd = Crowd(gateway, always, configuration.login, findings, args.readers)
        self.done = asyncio.Event()

    async def run(self):
        heart = asyncio.create_task(self.heart_beat())
        try:
            return await self.all()
        finally:
            heart.cancel()

    async def all(self):
        await self.at_rest()
        before = await self.watch.rest()
        print(f"{len(self.configuration.cameras)} cameras play; {before[0]} tasks, {before[1]} descriptors; "
              f"seed {self.args.seed}", flush=True)
        begin, cpu = time.monotonic(), self.cpu()
        await self.load()
        end = time.monotonic()
        self.tell_pace(end - begin, cpu)
        # The first readers of all, and the first reconnects, fill what is kept for the next ones.
        first, last = self.watch.memory(begin + min(60, (end - begin) / 5), end)
        after = await self.nothing_is_left(before)
        self.counted(after)
        self.was_real()
        self.ends_clean()
        print(f"RSS {first:.1f} -> {last:.1f} MiB (medians of the first and the last third; at most +{RSS_DRIFT_MIB} MiB); "
              f"tasks and descriptors {before} -> {after.held}")
        wrong = self.findings.total()
        print("soak: all as it should be" if not wrong else f"soak: {wrong} findings: {dict(self.findings.counts)}")
        return 1 if wrong else 0

    # ---- Phases -------------------------------------------------------------------------------

    async def at_rest(self):
        """All cameras play, but for the one on demand."""
        rest = {camera.stream: ["idle" if camera.on_demand else "playing"] for camera in self.configuration.cameras}
        is_away = lambda page: [stream for stream, state in rest.items() if page.state(stream) != state]
        page, _ = await self.watch.settled(lambda page: not is_away(page), ALL_PLAY)
        if away := is_away(page):
            self.findings.add("health", f"{away} are not at rest after {ALL_PLAY} s")
        for camera in self.configuration.cameras:
            camera.rests(0)

    async def load(self):
        async with asyncio.TaskGroup() as group:
            group.create_task(self.fleet.harm(self.done, self.args.minutes * 60))
            group.create_task(self.crowd.run(self.done))
            group.create_task(self.crowd.call(self.fleet.on_demand, self.done))
            group.create_task(self.reloads.run(self.done))
            group.create_task(self.watch.run(self.done))
            group.create_task(self.tell())
            await over(self.done, self.args.minutes * 60)
            self.done.set()

    async def heart_beat(self):
        """Notes when this process, and so the machine, stands still."""
        self.findings.beaten = time.monotonic()
        while True:
            await asyncio.sleep(0.1)
            self.findings.beat()

    async def tell(self):
        """How far the soak is."""
        begin = time.monotonic()
        while not await over(self.done, 60):
            if self.watch.samples:
                _, rss, tasks, descriptors = self.watch.samples[-1]
                print(f"{time.monotonic() - begin:7.1f} s  {len(self.crowd.playing)} readers, {rss:.1f} MiB, {tasks} tasks, "
                      f"{descriptors} descriptors, {self.findings.total()} findings", flush=True)

    # ---- Judgement ----------------------------------------------------------------------------

    async def nothing_is_left(self, before):
        """Of readers and reconnects: with all cameras playing again, as many tasks and descriptors as at first."""
        await self.at_rest()
        page, same = await self.watch.settled(lambda page: page.held == before)
        if not same:
            self.findings.add("left over", f"tasks and descriptors {page.held}, {before} before")
        return page

    def counted(self, page):
        """What the gateway counted against what was done."""
        for camera in self.fleet.cameras:
            sessions = page.get("camera_sessions_total", stream=camera.stream)
            if camera.faults == 0 and sessions != 1:
                self.findings.add("reconnect", f"{camera.stream} was opened {sessions:.0f} times and nothing was wrong with it")
            if sessions < camera.faults + (not camera.on_demand):
                self.findings.add("reconnect", f"{camera.stream}: {camera.faults} faults, {sessions:.0f} sessions")
            for name in ("camera_panics_total", "camera_lost_packets_total", "stream_lagged_total", "rtsp_readers"):
                if value := page.get(name, stream=camera.stream):
                    self.findings.add(name, f"{camera.stream}: {value:.0f}")
        if value := page.get("rtsp_connections", listener="rtsps-0"):
            self.findings.add("left over", f"{value:.0f} connections")

    def was_real(self):
        """A fault that did not happen proves nothing."""
        harmed = [camera for camera, _, _ in self.fleet.harmers]
        faults = sum(camera.faults for camera in harmed)
        print(f"{faults} faults at {len(harmed)} cameras; {self.crowd.sessions} sessions, {self.crowd.pictures} pictures, "
              f"{self.crowd.refused} refused; {self.reloads.count} reloads; {self.watch.looks} looks at the health")
        if not all(camera.faults for camera in harmed) or self.crowd.sessions < self.args.readers or not self.reloads.count:
            self.findings.add("not done", "some camera had no fault, or readers or reloads are missing")
        if self.net.filters:
            counted = self.net.counted()
            print(f"packets by fault: {counted}")
            if not all(packets for kind, packets in counted.items() if kind != "lossy" or self.net.relay):
                self.findings.add("not done", f"packets by fault: {counted}")
        if self.net.relay:
            carried = self.net.carried()
            print(f"{carried} packets delayed")
            if carried < 1000:
                self.findings.add("not done", f"{carried} packets delayed")

    def ends_clean(self):
        status = self.gateway.stop()
        said = self.gateway.said()
        errors = [line for line in said.splitlines() if " ERROR " in line or "panicked" in line]
        if status != 0 or errors:
            self.findings.add("gateway", f"ended with {status} and said {errors[:5]}")
        if said.count(SAID) != self.reloads.faulty:
            self.findings.add("gateway", f"it said {said.count(SAID)} times that a file has faults; {self.reloads.faulty} had")

    # ---- Pace ---------------------------------------------------------------------------------

    def cpu(self):
        """CPU seconds so far: of the gateway, of the readers, of the cameras and the relay."""
        gateway = cpu_of(self.gateway.process.pid)
        own = time.process_time()
        alive = sum(cpu_of(pid) for pid in os.listdir("/proc") if pid.isdigit()) if network.INSIDE in os.environ else own + gateway
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return gateway, own, alive + usage.ru_utime + usage.ru_stime - gateway - own

    def tell_pace(self, seconds, before):
        spent = [(now - then) / seconds for now, then in zip(self.cpu(), before)]
        print(f"{seconds:.0f} s; cores: gateway {spent[0]:.2f}, readers {spent[1]:.2f}, cameras and relay {spent[2]:.2f}; "
              f"this process stood still for {self.findings.still:.2f} s at most; excused for it: "
              f"{dict(self.findings.excused)}", flush=True)


def cpu_of(pid):
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / CPU_TICKS


if __name__ == "__main__":
    main()
