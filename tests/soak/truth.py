"""What the gateway may say of a camera, from what the test did to it."""
import collections
import time

IDLE, PLAYING, AWAY = frozenset(["idle"]), frozenset(["playing"]), frozenset(["starting", "waiting"])


class Truth:
    """The states that are true of one stream, as a row of moments from which they hold.

    A change of a camera takes the gateway some time to see: until then both the old and the new are true. What the gateway
    said is judged against all that was true while it was asked.
    """

    def __init__(self, on_demand=False):
        self.any = PLAYING | AWAY | (IDLE if on_demand else frozenset())
        self.row = collections.deque([(time.monotonic(), self.any)], maxlen=64)

    def becomes(self, states, within):
        """From now on anything, and after so many seconds `states` alone."""
        now = time.monotonic()
        while self.row and self.row[-1][0] >= now:
            self.row.pop()
        self.row.extend([(now, self.any), (now + within, states)])

    def between(self, begin, end):
        """Every state that was true at some moment from `begin` to `end`."""
        states, row = frozenset(), list(self.row)
        for (since, true), until in zip(row, [since for since, _ in row[1:]] + [float("inf")]):
            if since <= end and until >= begin:
                states |= true
        return states

    def is_sound(self):
        """Whether it must be playing now."""
        now = time.monotonic()
        return self.between(now, now) == PLAYING


class Findings:
    """What was not as it should be. All are counted, the first of each kind are told.

    What depends on time is excused while this process itself stands still for longer than a second, and for as long again:
    the machine does so then, and nobody can keep a time limit. What was lost is never excused.
    """

    TOLD, STILL = 5, 1
    TIMED = frozenset(["health", "not let in", "silence", "reader ended", "admin page", "TEARDOWN", "reload"])

    def __init__(self):
        self.counts, self.excused, self.still = collections.Counter(), collections.Counter(), 0.0
        self.begin = self.beaten = self.calm = time.monotonic()

    def beat(self):
        """To be called at least every tenth of a second."""
        now = time.monotonic()
        still = now - self.beaten
        if still > self.STILL:
            self.calm = now + 5 + still
        self.still, self.beaten = max(self.still, still), now

    def add(self, kind, text):
        now = time.monotonic()
        if kind in self.TIMED and (now < self.calm or now - self.beaten > self.STILL):
            self.excused[kind] += 1
            return
        self.counts[kind] += 1
        if self.counts[kind] <= self.TOLD:
            print(f"{now - self.begin:7.1f} s  WRONG: {kind}: {text}", flush=True)

    def total(self):
        return sum(self.counts.values())
