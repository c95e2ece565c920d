"""The segment's service in a namespace of its own, unprivileged, and a gateway outside that has no other way in."""
import base64
import json
import os
import re
import signal
import socket
import struct
import time

import pytest

import peers
import segment_lab
from conftest import PASSWORD
from segment_lab import SEGMENT_USER, sh, within

pytestmark = segment_lab.needs()

CAMERA, MAC = "10.77.0.10", "02:00:00:00:00:10"


@pytest.fixture
def lab():
    with segment_lab.Lab({"door": (MAC, CAMERA, [554])}) as lab:
        lab.up()
        with lab.device("door", MAC, CAMERA).inside():
            lab.camera = peers.Camera(lab.work, port=554, address=CAMERA)
        lab.stack.callback(lab.camera.__exit__)
        lab.forwarding()
        yield lab


def wait_until(holds, seconds):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def ask(run_dir, camera, port):
    """The answer's code, and how many descriptors came."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(str(run_dir / "door.sock"))
        s.sendall(struct.pack(">BHB", 1, port, len(camera)) + camera.encode())
        data, fds, _, _ = socket.recv_fds(s, 16, 4)
        for fd in fds:
            os.close(fd)
        return data[0], len(fds)


def start_gateway(lab, guard, camera="door", port=554, **options):
    toml = peers.camera_toml(camera, port, {"main": ("/h264", "always")}).replace("127.0.0.1", CAMERA)
    return lab.start_gateway(guard + toml, **options)


def reason(gateway, stream="door/main"):
    return gateway.health(stream).get("reason", "")


def play(gateway, work, pictures):
    with gateway.near_clients():
        url, options = gateway.url("door/main", f"guard:{PASSWORD}"), peers.new_ffmpeg_options(gateway)
        played = peers.play_ffmpeg(peers.FFMPEG_NEW, url, pictures, work, options)
    assert played.status == 0 and len(played.numbers()) == pictures, played.errors


def test_pictures_flow_and_either_process_survives_the_other(lab, work, guard):
    main = start_gateway(lab, guard)
    # Without the service nothing reaches the camera: there is no other way.
    wait_until(lambda: "is camlock-segment running" in reason(main), 10)
    assert lab.camera.sent("/h264") == []
    lab.start_service()
    main.wait_health("door/main", "playing")
    play(main, work, 50)
    linked = lambda: main.page("/readyz")["segment"]["link"]["up"]  # noqa: E731
    wait_until(linked, 5)
    # The video does not need the service once it flows.
    lab.service.stop(signal.SIGKILL)
    wait_until(lambda: not linked(), 5)
    assert main.health("door/main")["state"] == "playing"
    lab.start_service()
    wait_until(linked, 3)
    assert 'camlock_segment_info{mode="namespace"} 1' in main.page("/metrics")
    assert main.stop() == 0
    assert lab.service.alive()
    assert lab.service.stop() == 0, lab.service.said()
    assert "ledger written" in lab.service.said()


def test_what_root_did_not_list_is_refused_and_audited(lab, guard):
    service = lab.start_service()
    assert ask(lab.run_dir, "door", 554) == (0, 1)
    assert ask(lab.run_dir, "door", 80) == (3, 0)
    assert ask(lab.run_dir, "yard", 554) == (2, 0)
    assert ask(lab.run_dir, "../door", 554) == (1, 0)
    for event in ('camera="door" port=80 reason="port_not_listed"', 'camera="yard" port=554 reason="unknown_camera"'):
        assert event in plain(service), plain(service)
    with start_gateway(lab, guard, port=80) as main:
        wait_until(lambda: "does not list this port" in reason(main), 10)
        assert 'reason="segment_port_not_listed"' in plain(main) and 'event="dial_refused"' in plain(main)
        # Root lists it; the service takes it at SIGHUP.
        lab.cameras = {"door": (MAC, CAMERA, [80, 554])}
        lab.write_file()
        lab.command("apply")
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "segment file reloaded" in service.said(), 5)
        wait_until(lambda: "refused the connection" in reason(main), 20)
    with start_gateway(lab, guard, camera="yard") as main:
        wait_until(lambda: "no camera of this name" in reason(main, "yard/main"), 10)


def test_probe_looks_through_the_segment(lab):
    lab.start_service()
    ask = [peers.BINARY, "probe", f"rtsp://{CAMERA}/h264", "--seconds", 2, "--segment", lab.run_dir, "--name"]
    seen = peers.run(*ask, "door")
    assert seen.returncode == 0 and b'name = "door"' in seen.stdout, seen
    unknown = peers.run(*ask, "yard")
    assert unknown.returncode == 1 and b"no camera of this name" in unknown.stderr, unknown


def plain(process):
    return re.sub(r"\x1b\[[0-9;]*m", "", process.said())


def test_the_process_has_no_rights_left(lab):
    service = lab.start_service()
    status = (open(f"/proc/{service.process.pid}/status")).read()
    for line in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert re.search(rf"^{line}:\s+0+$", status, re.M), status
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M) and re.search(r"^Seccomp:\s+2$", status, re.M), status
    assert re.search(rf"^Uid:\s+{SEGMENT_USER}\s", status, re.M), status


def test_the_service_manager_hears_of_it(lab):
    told = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        path = str(lab.run_dir / "notify")
        manager.bind(path)
        os.chown(path, SEGMENT_USER, SEGMENT_USER)
        manager.settimeout(5)
        service = lab.start_service(env=os.environ | {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "4000000"})
        hear = lambda: told.append(manager.recv(500).decode())  # noqa: E731
        while sum("WATCHDOG=1" in line for line in told) < 3:
            hear()
        assert "READY=1" in told[0], told
        service.process.send_signal(signal.SIGTERM)
        while "STOPPING=1" not in told[-1]:
            hear()
    assert service.process.wait(5) == 0, service.said()


def test_only_root_gives_orders(lab):
    lab.start_service()
    # Told before it asked: what it would ask is not even read.
    ask = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(99))"
    as_service = ("setpriv", "--reuid", SEGMENT_USER, "--regid", SEGMENT_USER, "--clear-groups", peers.SYSTEM_PYTHON, "-c", ask)
    told = peers.run(*as_service, lab.run_dir / "control.sock")
    assert b'{"error":"root only"}' in told.stdout, told
    assert "records" in lab.control({"flush": True})


def test_the_service_ends_with_its_namespace_and_begins_in_no_other(lab):
    service = lab.start_service()
    sh("ip", "netns", "delete", lab.segment)
    service.process.wait(3)
    assert service.process.returncode == 1 and "namespace lost" in service.said()
    done = peers.run(
        peers.BINARY, "segment", "run", "--namespace", lab.segment, "--file", lab.file,
        "--run-dir", lab.run_dir, "--state-dir", lab.state_dir,
    )
    assert done.returncode == 1 and b"is not the network namespace that" in done.stderr


def test_devices_stand_in_the_ledger_and_the_canary_lets_serve(lab, work, guard):
    lab.start_service()
    held = {"own": 'canary = "require"\n', "ready": False}
    with start_gateway(lab, guard, **held) as main:
        wait_until(lambda: asked(lambda: not_served(main)), 10)
        assert "\ncamlock_segment_serves 0\n" in main.page("/metrics")
        main.wait_health("door/main", "playing")
        assert rtsp_status(main) == 503
        passed = {"at_ms": int(time.time() * 1000), "tries": 30, "escaped": [], "unseen": [], "failed_controls": []}
        assert lab.control({"canary": passed}) == {"ok": True}
        main.wait_ready()
        play(main, work, 25)
        failed = dict(passed, escaped=["icmp"])
        url = main.url("door/main", f"guard:{PASSWORD}")
        command = [peers.FFMPEG_NEW, "-loglevel", "error", *peers.new_ffmpeg_options(main), "-i", url, "-f", "null", "-"]
        with within(lab.out):
            player = peers.Process(*command)
        with player:
            wait_until(lambda: re.search(r"^camlock_stream_readers\S* [1-9]", main.page("/metrics"), re.M), 20)
            assert lab.control({"canary": failed}) == {"ok": True}
            player.process.wait(5)
        assert rtsp_status(main) == 503
        assert "got out by: icmp" in plain(main) and 'event="serving"' in plain(main)
    with start_gateway(lab, guard, **held) as main:
        # Another gateway hears the same verdict.
        wait_until(lambda: asked(lambda: "got out of" in not_served(main)), 10)
    kinds = {record["body"]["kind"] for record in lab.records() if "body" in record}
    assert {"start", "row", "canary"} <= kinds, kinds


def not_served(main):
    return main.readiness()["segment"].get("not_served", "")


def asked(holds):
    try:
        return holds()
    except OSError:
        return False


def rtsp_status(main):
    """Of a DESCRIBE with a login."""
    rtsp = peers.Rtsp(main)
    login = base64.b64encode(f"guard:{PASSWORD}".encode()).decode()
    answer = rtsp.ask("DESCRIBE", main.url("door/main"), Authorization=f"Basic {login}")
    rtsp.close()
    return answer[0]
