"""Looks at what the gateway says of itself: health against the truth, memory, descriptors, tasks."""
import asyncio
import re
import statistics
import time

from truth import AWAY

LINE = re.compile(r"camlock_(\w+)(?:\{(.*)\})? (\S+)")
# Between the first and the last third of the soak. The allocator's own ups and downs stay below it.
RSS_DRIFT_MIB = 8
SETTLE = 45  # seconds after the last reader until nothing is left of them


class Page:
    """The metrics page."""

    def __init__(self, text):
        found = (LINE.fullmatch(line) for line in text.splitlines())
        self.values = {(line[1], line[2] or ""): float(line[3]) for line in found if line}

    def get(self, name, **labels):
        """A value by name and labels; 0 if it was never counted."""
        wanted = ",".join(f'{label}="{value}"' for label, value in labels.items())
        return self.values.get((name, wanted), 0)

    def state(self, stream):
        """The states that are 1: must be one."""
        return [state for state in ("idle", "starting", "playing", "waiting") if self.get("camera_state", stream=stream, state=state.title())]

    @property
    def held(self):
        """Tasks and descriptors."""
        return int(self.get("process_tasks")), int(self.get("process_open_fds"))

    @property
    def rss_mib(self):
        return self.get("process_resident_memory_bytes") / 2**20


class Watch:
    """`cameras()`: those that are configured, or `None` while that is being changed."""

    def __init__(self, gateway, cameras, findings):
        self.gateway, self.cameras, self.findings = gateway, cameras, findings
        self.looks, self.states, self.samples = 0, 0, []

    async def page(self, path):
        page = await asyncio.to_thread(self.gateway.page, path)
        return Page(page) if path == "/metrics" else page

    async def run(self, done):
        next_sample = 0
        while not done.is_set():
            try:
                if await self.look() and time.monotonic() > next_sample:
                    await self.sample()
                    next_sample = time.monotonic() + 2
            except OSError as error:
                self.findings.add("admin page", repr(error))
            await asyncio.sleep(0.4)

    # ---- Health -------------------------------------------------------------------------------

    async def look(self):
        """Every camera's health; returns whether the gateway still runs."""
        before, begin = self.cameras(), time.monotonic()
        streams = (await self.page("/readyz"))["streams"]
        end, after = time.monotonic(), self.cameras()
        self.looks += 1
        if before and before == after and set(streams) != {camera.stream for camera in before}:
            self.findings.add("streams", f"{set(streams) ^ {camera.stream for camera in before}} too much or missing")
        for camera in after or before or []:
            if camera.stream in streams:
                self.judge(camera, streams[camera.stream], camera.truth.between(begin, end))
        return self.gateway.alive()

    def judge(self, camera, health, true):
        self.states += 1
        if health["state"] not in true:
            self.findings.add("health", f"{camera.stream} is said to be {health}; true is {sorted(true)}")
        elif true == AWAY and health["state"] == "waiting" and not any(r in health["reason"] for r in camera.reasons):
            self.findings.add("health", f"{camera.stream} is away for {health['reason']!r}; true is {camera.reasons}")

    # ---- Figures ------------------------------------------------------------------------------

    async def sample(self):
        before = (await self.page("/readyz"))["streams"]
        page = await self.page("/metrics")
        after = (await self.page("/readyz"))["streams"]
        self.samples.append((time.monotonic(), page.rss_mib, *page.held))
        for stream, health in after.items():
            # What changed meanwhile may have changed twice.
            if before.get(stream) == health and page.state(stream) != [health["state"]] and health["state"] == "playing":
                self.findings.add("health", f"{stream}: metrics say {page.state(stream)}, /readyz {health['state']}")

    async def settled(self, what, seconds=SETTLE):
        """Waits until `what(page)` holds; returns the last page and whether it did."""
        deadline = time.monotonic() + seconds
        while True:
            page = await self.page("/metrics")
            if what(page) or time.monotonic() > deadline:
                return page, what(page)
            await asyncio.sleep(0.5)

    async def rest(self):
        """Tasks and descriptors once they no longer change."""
        same, last = 0, None
        for _ in range(60):
            held = (await self.page("/metrics")).held
            same, last = (same + 1 if held == last else 0), held
            if same >= 4:
                break
            await asyncio.sleep(0.5)
        return last

    def memory(self, begin, end):
        """Median RSS, MiB, of the first and of the last third of the time from `begin` to `end`."""
        third = (end - begin) / 3
        first = [rss for at, rss, *_ in self.samples if begin <= at <= begin + third]
        last = [rss for at, rss, *_ in self.samples if end - third <= at <= end]
        if not first or not last:
            self.findings.add("memory", "too few samples")
            return 0, 0
        first, last = statistics.median(first), statistics.median(last)
        if last - first > RSS_DRIFT_MIB:
            self.findings.add("memory", f"RSS rose from {first:.1f} to {last:.1f} MiB; at most {RSS_DRIFT_MIB} MiB more are taken")
        return first, last
