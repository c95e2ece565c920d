"""Cameras that go and come back, sound that stays with its picture, many clients at once, clean ends."""
import base64
import concurrent.futures
import json
import signal
import subprocess
import time
import urllib.error
import urllib.request

import av
import numpy
import pytest

import barcode
import peers
from conftest import PASSWORD


def skews(gateway, stream, seconds):
    """Milliseconds between each flash and its beep, by the clients' presentation times."""
    options = {"rtsp_transport": "tcp", "ca_file": str(gateway.ca), "tls_verify": "1"}
    flashes, beeps, silent_since = [], [], None
    with av.open(gateway.url(stream, f"guard:{PASSWORD}"), options=options, timeout=20) as container:
        begin = time.monotonic()
        for frame in container.decode(video=0, audio=0):
            if time.monotonic() - begin > seconds:
                break
            if frame.pts is None:
                continue
            if isinstance(frame, av.VideoFrame):
                gray = frame.to_ndarray(format="gray")
                if gray[peers.HEIGHT * 2 // 3 :].mean() > 180:
                    flashes.append(frame.time)
                continue
            samples = numpy.abs(frame.to_ndarray().reshape(-1).astype(int))
            loud = numpy.nonzero(samples > 4000)[0]
            if len(loud):
                at = frame.time + loud[0] / frame.sample_rate
                if silent_since is None or at - silent_since > 0.3:
                    beeps.append(at)
                silent_since = frame.time + loud[-1] / frame.sample_rate
    inner = [f for f in flashes if beeps and beeps[0] - 0.5 < f < beeps[-1] + 0.5]
    assert len(inner) >= seconds - 3, (flashes, beeps)
    return [min((f - b for b in beeps), key=abs) * 1000 for f in inner]


@pytest.fixture
def one(work, guard):
    """A camera of its own behind a gateway of its own."""
    port = peers.free_port()
    camera = peers.Camera(work, port=port)
    config = guard + peers.camera_toml("cam", port, {"main": ("/h264", "always"), "late": ("/h265", "on-demand")})
    with peers.Gateway(work, config, "one") as gateway:
        gateway.wait_health("cam/main", "playing")
        yield gateway, camera, port
    camera.__exit__()


def test_lips_stay_in_sync_at_start_and_after_a_reconnect(one, work):
    gateway, camera, port = one
    first = skews(gateway, "cam/main", 8)
    assert max(abs(s) for s in first) <= 40, first
    camera.stop(signal.SIGKILL)
    gateway.wait_health("cam/main", "waiting")
    with peers.Camera(work, port=port):
        gateway.wait_health("cam/main", "playing")
        second = skews(gateway, "cam/main", 8)
        assert max(abs(s) for s in second) <= 40, second


def test_readers_survive_a_camera_that_is_off_for_ten_seconds(one, work):
    gateway, camera, port = one
    gray = work / "survivor.gray"
    command = [peers.FFMPEG_NEW, "-nostdin", "-loglevel", "error", *peers.new_ffmpeg_options(gateway)]
    command += ["-i", gateway.url("cam/main", f"guard:{PASSWORD}"), "-map", "0:v"]
    command += [*peers.every_picture(peers.FFMPEG_NEW), "-pix_fmt", "gray", "-f", "rawvideo", "-flush_packets", "1", "-y", gray]
    size = peers.WIDTH * peers.HEIGHT
    count = lambda: gray.stat().st_size // size if gray.exists() else 0

    def wait_for(pictures, seconds):
        deadline = time.monotonic() + seconds
        while count() < pictures:
            assert time.monotonic() < deadline, f"{count()} of {pictures} pictures"
            time.sleep(0.02)

    with peers.Process(*command) as player:
        wait_for(50, 20)
        pid = player.process.pid
        camera.stop(signal.SIGKILL)
        time.sleep(10)
        before = count()
        with peers.Camera(work, port=port):
            gateway.wait_health("cam/main", "playing", 30)
            wait_for(before + 1, 1.5)  # one key-frame interval, and the player's own delay
            wait_for(before + 50, 10)
            assert player.alive() and player.process.pid == pid
        player.process.kill()
        assert player.said() == ""
    numbers = [barcode.read_number(p) for p in peers.pictures(gray.read_bytes())]
    assert None not in numbers
    breaks = [i for i, (a, b) in enumerate(zip(numbers, numbers[1:])) if a + 1 != b]
    assert len(breaks) == 1, f"one break is the outage: {[numbers[i : i + 2] for i in breaks]}"


def test_an_on_demand_camera_runs_while_somebody_watches(one, work):
    gateway, _, _ = one
    assert gateway.health("cam/late")["state"] == "idle"
    url = gateway.url("cam/late", f"guard:{PASSWORD}")
    played = peers.play_ffmpeg(peers.FFMPEG_NEW, url, 25, work, peers.new_ffmpeg_options(gateway))
    assert played.status == 0 and played.errors == "", played.errors
    assert gateway.health("cam/late")["state"] == "playing"
    gateway.wait_health("cam/late", "idle", 15)


def test_a_wrong_camera_password_is_said_in_words(work, guard):
    with peers.Camera(work, "digest") as camera:
        config = guard + peers.camera_toml("cam", camera.port, {"main": ("/h264", "always")}, "admin", "wrong-password")
        with peers.Gateway(work, config, "refused") as gateway:
            gateway.wait_health("cam/main", "waiting")
            health = gateway.health("cam/main")
            assert "login" in health["reason"] or "password" in health["reason"], health
            assert health["retry_in_ms"] >= 15_000, "a camera bans accounts that fail often"
            assert "wrong-password" not in gateway.said()


def test_basic_is_never_sent_unless_allowed(work, guard):
    with peers.Camera(work, "basic") as camera:
        config = guard + peers.camera_toml("cam", camera.port, {"main": ("/h264", "always")}, camera.user, camera.password)
        with peers.Gateway(work, config, "nobasic") as gateway:
            gateway.wait_health("cam/main", "waiting")
            assert "Basic" in gateway.health("cam/main")["reason"]


def test_basic_is_never_sent_where_digest_was_seen(work, guard):
    """Not even after a restart, and not even where the configuration allows Basic."""
    port = peers.free_port()
    login = ("admin", "planted-camera-password")
    config = guard + peers.camera_toml("cam", port, {"main": ("/h264", "always")}, *login, basic=True)
    with peers.Camera(work, "digest", port=port):
        with peers.Gateway(work, config, "downgrade") as gateway:
            gateway.wait_health("cam/main", "playing")
            deadline = time.monotonic() + 5
            while not (gateway.state / "digest-seen").exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
    with peers.Camera(work, "basic", port=port):
        with peers.Gateway(work, config, "downgrade") as gateway:
            gateway.wait_health("cam/main", "waiting")
            assert "offered Digest before" in gateway.health("cam/main")["reason"]


def test_two_hundred_clients_of_one_address(gateway):
    """One of them has a wrong password; it harms nobody."""
    url = gateway.url("none/h264")

    def client(number):
        password = "wrong password" if number == 77 else PASSWORD
        login = {"Authorization": "Basic " + base64.b64encode(f"guard:{password}".encode()).decode()}
        rtsp = peers.Rtsp(gateway)
        rtsp.socket.settimeout(15)
        try:
            status, headers, _ = rtsp.ask("DESCRIBE", url, **login)
            if status != 200:
                return status, 0
            transport = "RTP/AVP/TCP;unicast;interleaved=0-1"
            status, answer, _ = rtsp.ask("SETUP", headers["content-base"] + "trackID=0", Transport=transport, **login)
            session = answer["session"].split(";")[0]
            status, _, _ = rtsp.ask("PLAY", headers["content-base"], Session=session, **login)
            assert rtsp.file.read(1) == b"$"
            return status, time.monotonic() - begin
        finally:
            rtsp.close()

    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        results = list(pool.map(client, range(200)))
    assert [status for status, _ in results].count(200) == 199
    assert results[77][0] == 401
    slowest = max(seconds for _, seconds in results)
    print(f"200 clients of one address: the last plays after {slowest:.2f} s")
    assert slowest < 10


def test_logs_as_json_and_ends_clean(work, guard):
    with peers.Gateway(work, guard + '[log]\nformat = "json"\n', "json") as gateway:
        assert gateway.stop(signal.SIGTERM, 3) == 0
        for line in gateway.said().splitlines():
            json.loads(line)


def test_the_admin_listener_asks_for_its_token(gateway):
    page = f"http://127.0.0.1:{gateway.admin_port}"
    assert urllib.request.urlopen(f"{page}/healthz", timeout=5).read() == b"ok\n"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{page}/metrics", timeout=5)
    assert refused.value.code == 401
    rebound = urllib.request.Request(f"{page}/healthz", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(rebound, timeout=5)
    assert refused.value.code == 421
    metrics = gateway.page("/metrics")
    assert 'stream="none/h264"' in metrics and metrics.rstrip().endswith("# EOF")


def test_a_reload_takes_a_grant_away_at_once(one, work, guard):
    gateway, _, _ = one
    command = [peers.FFMPEG_NEW, "-nostdin", "-loglevel", "error", *peers.new_ffmpeg_options(gateway)]
    command += ["-i", gateway.url("cam/main", f"guard:{PASSWORD}"), "-f", "null", "-"]
    with peers.Process(*command) as player:
        deadline = time.monotonic() + 15
        while 'camlock_stream_readers{stream="cam/main"} 1' not in gateway.page("/metrics"):
            assert time.monotonic() < deadline, gateway.page("/metrics")
            time.sleep(0.1)
        text = gateway.config.read_text()
        gateway.config.write_text("broken = ")
        gateway.process.send_signal(signal.SIGHUP)
        peers.wait_for(lambda: "camlock_config_stale 1\n" in gateway.page("/metrics"), gateway.said)
        assert player.alive() and gateway.alive(), "a file with faults must change nothing"
        gateway.config.write_text(text.replace(guard, guard.replace('"*"', '"elsewhere/*"')))
        gateway.process.send_signal(signal.SIGHUP)
        player.process.wait(5)


def test_what_became_of_a_reload_is_said_where_operators_look(work, guard):
    config = guard + '[log]\nformat = "json"\n'
    with peers.Gateway(work, config, "reloads") as gateway:
        good = gateway.config.read_text()

        def reload(text, outcome, stale):
            gateway.config.write_text(text)
            gateway.process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 10
            counted = f'camlock_config_reloads_total{{outcome="{outcome}"}} 1'
            while counted not in (page := gateway.page("/metrics")):
                assert time.monotonic() < deadline, page
                time.sleep(0.05)
            assert f"camlock_config_stale {stale}\n" in page

        assert "camlock_config_stale 0\n" in gateway.page("/metrics")
        reload(good + '[[camera]]\nname = "Not A Name"\naddress = "nowhere"\n', "Refused", 1)
        reload(good, "Applied", 0)
        reload(good + f'[tls]\ncertificate = "{gateway.config}"\nkey = "{gateway.config}"\n', "Partly", 1)
        lines = [json.loads(line) for line in gateway.said().splitlines()]
    said = [line["message"] for line in lines]
    last = good.count("\n") + 3
    assert any(f"reloads.toml:{last}:" in message and "nowhere" in message for message in said), said
    assert "the new configuration has errors; the old one stays in use" in said
