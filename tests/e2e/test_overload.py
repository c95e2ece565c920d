"""CPU or memory runs short: new readers are told so and refused, those who play go on, and it is over again."""
import re
import signal
import threading
import time

import pytest

import barcode
import peers
from conftest import PASSWORD

MIB = 1 << 20
PICTURE = peers.WIDTH * peers.HEIGHT


@pytest.fixture
def alone(work, guard):
    """A gateway that no other test shares, its camera, and a reader that plays all the time."""
    with peers.Camera(work) as camera:
        config = guard + peers.camera_toml("cam", camera.port, {"main": ("/h264", "always"), "late": ("/h265", "on-demand")})
        with peers.Gateway(work, config, "overload") as gateway:
            gateway.wait_health("cam/main", "playing")
            gray = work / "overload.gray"
            command = [peers.FFMPEG_NEW, "-nostdin", "-loglevel", "error", *peers.new_ffmpeg_options(gateway)]
            command += ["-i", gateway.url("cam/main", f"guard:{PASSWORD}"), "-map", "0:v", *peers.every_picture(peers.FFMPEG_NEW)]
            command += ["-pix_fmt", "gray", "-f", "rawvideo", "-flush_packets", "1", "-y", gray]
            with peers.Process(*command) as player:
                count = lambda: gray.stat().st_size // PICTURE if gray.exists() else 0
                wait_until(lambda: count() >= 50, 20)
                yield gateway, gray
                gone_on = count() + 25
                wait_until(lambda: count() >= gone_on, 20)
                assert player.alive(), player.said()


def wait_until(holds, seconds):
    deadline = time.monotonic() + seconds
    while not asked(holds):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def asked(holds):
    try:
        return holds()
    except OSError:  # a gateway that is halted answers late
        return False


def metric(gateway, name):
    found = re.search(rf"^{re.escape(name)} (\S+)$", gateway.page("/metrics"), re.M)
    assert found, f"no metric {name}"
    return float(found[1])


def level(gateway, resource):
    return metric(gateway, f'camlock_overload{{resource="{resource}"}}')


def play(gateway, work, stream="cam/main"):
    url = gateway.url(stream, f"guard:{PASSWORD}")
    return peers.play_ffmpeg(peers.FFMPEG_NEW, url, 25, work, peers.new_ffmpeg_options(gateway))


def assert_refused(gateway, work, resource, words):
    """Not the stream that plays, and not one whose camera would have to be asked first."""
    for stream in ("cam/main", "cam/late"):
        refused = play(gateway, work, stream)
        assert refused.status != 0 and not len(refused.gray), "nothing is served"
        assert "503" in refused.errors and words in refused.errors, refused.errors
    assert gateway.health("cam/late")["state"] == "idle", "no camera was pulled for it"
    assert metric(gateway, f'camlock_overload_refused_readers_total{{resource="{resource}"}}') >= 2


def test_memory_that_is_short_is_said_and_a_reload_ends_it(alone, work):
    gateway, gray = alone
    text = gateway.config.read_text()

    def allow(mib):
        gateway.config.write_text(f"{text}[limits]\nmemory_mib = {mib}\n")
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: metric(gateway, "camlock_overload_memory_budget_bytes") == mib * MIB, 5)

    assert metric(gateway, "camlock_overload_memory_budget_bytes") > 0, "there is a budget by default"
    used = metric(gateway, "camlock_process_resident_memory_bytes")
    assert used / MIB > 8, "no smaller budget can be configured"
    allow(int(used / MIB / 0.95))
    wait_until(lambda: level(gateway, "memory") >= 1, 5)
    assert_refused(gateway, work, "memory", "short of memory, try again in 10 s")
    state = gateway.page("/readyz")
    assert state["ready"] and "raise limits.memory_mib" in state["load"]["memory"]["reason"], state
    assert re.search(r'event="overload".*resource="memory".*level="full"', gateway.said()), gateway.said()

    allow(16_384)
    assert level(gateway, "memory") == 0
    played = play(gateway, work)
    assert played.status == 0 and len(played.gray) == 25, played.errors
    assert metric(gateway, 'camlock_overload_shed_readers_total{resource="memory"}') == 0
    numbers = [barcode.read_number(p) for p in peers.pictures(gray.read_bytes())]
    assert None not in numbers and peers.consecutive(numbers), "who plays loses no picture"


def test_a_cpu_that_is_short_for_seconds_is_said_and_passes(alone, work):
    """The process is halted nine tenths of the time, as by a neighbour that takes its CPU."""
    gateway, _ = alone
    enough = threading.Event()

    def halt():
        for _ in range(80):
            gateway.process.send_signal(signal.SIGSTOP)
            stop = enough.wait(0.45)
            gateway.process.send_signal(signal.SIGCONT)
            if stop or enough.wait(0.05):
                return

    # Once, for long: nobody is refused.
    gateway.process.send_signal(signal.SIGSTOP)
    time.sleep(1)
    gateway.process.send_signal(signal.SIGCONT)
    assert play(gateway, work).status == 0

    neighbour = threading.Thread(target=halt)
    neighbour.start()
    try:
        wait_until(lambda: level(gateway, "cpu") >= 1, 30)
        assert metric(gateway, "camlock_overload_lateness_seconds") >= 0.1
    finally:
        enough.set()
        neighbour.join()
    assert_refused(gateway, work, "cpu", "short of CPU, try again in 10 s")
    wait_until(lambda: level(gateway, "cpu") == 0, 40)
    played = play(gateway, work)
    assert played.status == 0 and len(played.gray) == 25, played.errors
    events = re.findall(r'event="overload".*level="(\w+)"', gateway.said())
    assert events[0] == "full" and events[-1] == "normal", gateway.said()
