"""Fifty cameras and what happens to them."""
import asyncio
import random
import signal
import time

import network
import peers
from truth import AWAY, IDLE, PLAYING, Truth

STALL = 5  # limits::CAMERA_STALL
SLACK = 4  # a busy machine, and the pause between two looks
RECOVER = 20  # the next attempt, one that was on its way, the login and the first picture
LONGEST = 18  # that a camera is away, once longer than it takes the gateway to see
TICKS_10, TICKS_25 = 9000, 3600
PATTERN = ["--bitrate", "200", "--fps", "10", "--gop", "20"]


class Camera:
    """A stream of the gateway's. `ticks` between pictures, if every one must come; `clip`: known by their bytes."""

    def __init__(self, name, port, host="127.0.0.1", ticks=None, clip=False, path="/main", on_demand=False):
        self.name, self.port, self.host, self.ticks, self.clip, self.path = name, port, host, ticks, clip, path
        self.on_demand, self.truth = on_demand, Truth(on_demand)
        # What ended its sessions, and so how often it must have been opened.
        self.stream, self.faults, self.reasons = f"{name}/main", 0, ()
        self.sound_since = float("inf")

    def toml(self):
        start = "on-demand" if self.on_demand else "always"
        text = peers.camera_toml(self.name, self.port, {"main": (self.path, start)}).replace("127.0.0.1", self.host)
        return text + ('linger = "2s"\n' if self.on_demand else "")

    def rests(self, within):
        """As it is when nobody looks."""
        if self.on_demand:
            self.truth.becomes(IDLE, within)
        else:
            self.plays(within)

    def plays(self, within):
        self.truth.becomes(PLAYING, within)
        self.sound_since = time.monotonic() + within

    def is_away(self, within, reasons):
        """`reasons`: parts of what the gateway may give as its reason."""
        self.faults, self.reasons = self.faults + 1, reasons
        self.sound_since = float("inf")
        self.truth.becomes(AWAY, within)

    def flickers(self, within):
        """A fault so short that only its end is judged."""
        self.faults += 1
        self.plays(within)

    def sound_for(self, seconds):
        return time.monotonic() - self.sound_since > seconds


class Simulated(peers.Process):
    """`camlock simulate` with some cameras."""

    def __init__(self, count, *options, port=0, before=()):
        command = [*before, peers.BINARY, "simulate", "--silent", "--cameras", count, "--port", port, *options]
        super().__init__(*command)
        self.ports = [int(self.first_line(r"rtsp://127\.0\.0\.1:(\d+)/")[1]) for _ in range(count)]


class Fleet:
    """All cameras, their processes, and the tasks that harm some of them."""

    def __init__(self, net, work):
        self.net, self.cameras, self.processes, self.harmers, self.lossy = net, [], [], [], []
        try:
            self.steady(work)
            self.far()
            self.harmed()
        except BaseException:
            self.close()
            raise

    def add(self, kind, ports, **what):
        made = [Camera(f"{kind}-{number}", port, **what) for number, port in enumerate(ports, 1)]
        self.cameras += made
        return made

    def simulate(self, *arguments, **options):
        process = Simulated(*arguments, **options)
        self.processes.append(process)
        return process

    def steady(self, work):
        ports = self.simulate(20, *PATTERN).ports
        self.add("steady", ports[:17], ticks=TICKS_10)
        # Played by one reader at a time, and at times by none.
        self.on_demand = self.add("demanded", ports[17:18], ticks=TICKS_10, on_demand=True)[0]
        # Two more that the configuration does not name at first.
        self.spare = ports[18:]
        self.add("clip", self.simulate(4).ports, ticks=TICKS_25, clip=True)
        for number in (1, 2):
            process = peers.Camera(work)
            self.processes.append(process)
            self.cameras.append(Camera(f"gst-{number}", process.port, path="/h264"))

    def far(self):
        if not self.net.relay:
            return
        ports = self.simulate(12, *PATTERN, before=self.net.far()).ports
        self.add("delayed", ports[:6], host=network.FAR, ticks=TICKS_10)
        if self.net.filters:
            self.lossy = ports[6:]
            self.add("lossy", self.lossy, host=network.FAR, ticks=TICKS_10)

    def harmed(self):
        for kind, harm in (("stalling", self.stall), ("restarting", self.restart)):
            ports = [peers.free_port() for _ in range(4)]
            for camera in self.add(kind, ports):
                self.harmers.append((camera, harm, self.simulate(1, *PATTERN, port=camera.port)))
        if not self.net.filters:
            return
        ports = self.simulate(6, *PATTERN).ports
        self.harmers += [(camera, self.cut, None) for camera in self.add("cut", ports[:3])]
        self.harmers += [(camera, self.pull, None) for camera in self.add("pulled", ports[3:])]

    async def harm(self, done, seconds):
        """Each harmed camera in turn sound and away; at the end of these seconds all are sound."""
        self.done, self.last = done, time.monotonic() + seconds - LONGEST - STALL
        if self.lossy:
            await self.net.put("lossy", self.lossy)
        async with asyncio.TaskGroup() as group:
            for camera, harm, process in self.harmers:
                group.create_task(self.cycle(camera, harm, process))

    async def cycle(self, camera, harm, process):
        # A session shorter than half a minute is no healthy one to the gateway, and its pauses grow.
        pause = random.uniform(5, 30)
        while not await over(self.done, pause) and time.monotonic() < self.last:
            process = await harm(camera, process) or process
            camera.plays(RECOVER)
            pause = RECOVER + random.uniform(25, 45)

    # ---- Faults -------------------------------------------------------------------------------

    async def stall(self, camera, process):
        """The camera hangs: its connections stay, and nothing comes."""
        process.process.send_signal(signal.SIGSTOP)
        camera.is_away(STALL + SLACK, ["video went quiet", "did not answer"])
        await over(self.done, random.uniform(12, LONGEST))
        process.process.send_signal(signal.SIGCONT)

    async def restart(self, camera, process):
        """The camera dies, and comes back after a while."""
        process.process.kill()
        camera.is_away(SLACK, ["closed the connection", "connection to the camera broke", "no connection"])
        await over(self.done, random.uniform(6, 12))
        process.__exit__()
        self.processes.remove(process)
        return await asyncio.to_thread(self.simulate, 1, *PATTERN, port=camera.port)

    async def cut(self, camera, _):
        """Something on the way resets the connection."""
        camera.flickers(RECOVER)
        await self.net.put("cut", [camera.port])
        await asyncio.sleep(0.3)
        await self.net.take("cut", [camera.port])

    async def pull(self, camera, _):
        """The cable is out, and in again."""
        await self.net.put("pulled", [camera.port])
        camera.is_away(STALL + SLACK, ["video went quiet", "no connection"])
        await over(self.done, random.uniform(12, LONGEST))
        await self.net.take("pulled", [camera.port])

    def close(self):
        for process in self.processes:
            process.__exit__()


async def over(done, seconds):
    """Waits; returns whether the soak is over."""
    try:
        await asyncio.wait_for(done.wait(), seconds)
    except TimeoutError:
        pass
    return done.is_set()
