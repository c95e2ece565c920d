"""The commands as a user types them: the lines that `demo` prints are run as they stand."""
import json
import os
import re
import shlex
import signal
import socket
import time

import pytest

import barcode
import peers

PICTURES = 100


@pytest.fixture(scope="module")
def demo():
    begin = time.monotonic()
    with peers.Process(peers.BINARY, "demo", cwd=peers.ROOT) as demo:
        text = ""
        while "Ctrl-C" not in text:
            line = demo.process.stdout.readline().decode()
            assert line, demo.said()
            text += line
        demo.seconds, demo.text = time.monotonic() - begin, text
        yield demo
        assert demo.stop(signal.SIGINT, 5) == 0


def lines(demo, begins):
    found = [line.strip() for line in demo.text.splitlines() if line.strip().startswith(begins)]
    assert found, demo.text
    return found


def test_the_demo_is_there_within_two_seconds(demo):
    assert demo.seconds < 2, demo.seconds
    assert "cannot verify" in demo.text


def numbers_of(raw, width, height):
    numbers = [barcode.read_number(p) for p in peers.pictures(raw, width, height)]
    assert None not in numbers
    return numbers


def test_the_ffplay_lines_play(demo, work):
    played = 0
    for line in lines(demo, "ffplay -"):
        words = shlex.split(line.split("#")[0])
        verifies = "-ca_file" in words
        out = work / "demo.gray"
        binary = peers.FFMPEG_NEW if verifies else peers.FFMPEG_OLD
        done = peers.run(
            binary, "-nostdin", "-loglevel", "error", *words[1:-1], "-i", words[-1], "-map", "0:v", *peers.every_picture(binary),
            "-frames:v", PICTURES, "-pix_fmt", "gray", "-f", "rawvideo", "-y", out,
        )
        assert done.returncode == 0 and done.stderr == b"", done.stderr
        small = words[-1].endswith("/sub")
        numbers = numbers_of(out.read_bytes(), *((320, 180) if small else (640, 360)))
        assert len(numbers) == PICTURES
        breaks = [pair for pair in zip(numbers, numbers[1:]) if pair[0] + 1 != pair[1] and pair[1] != 0]
        assert not breaks, breaks
        played += 1
    assert played >= 2


def test_the_python_line_plays(demo):
    for line in lines(demo, "/usr/bin/python3"):
        words = shlex.split(line.split("#")[0])
        done = peers.run(*words, "--pictures", PICTURES, cwd=peers.ROOT)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{PICTURES} pictures".encode()), done.stdout


def test_a_second_demo_takes_other_ports_and_prints_json(demo):
    with peers.Process(peers.BINARY, "demo", "--json", cwd=peers.ROOT) as second:
        text = second.process.stdout.readline().decode()
        told = json.loads(text)
        assert set(told) >= {"rtsps", "user", "password", "ca", "admin"}
        assert len(told["rtsps"]) == 3 and os.path.exists(told["ca"])
        first_port = re.search(r"rtsps://[^/]*:(\d+)/", demo.text)[1]
        for url in told["rtsps"]:
            assert f":{first_port}/" not in url
        url = told["rtsps"][0].replace("rtsps://", f"rtsps://{told['user']}:{told['password']}@")
        done = peers.run(
            peers.FFMPEG_NEW, "-nostdin", "-loglevel", "error", "-rtsp_transport", "tcp", "-ca_file", told["ca"],
            "-tls_verify", "1", "-i", url, "-frames:v", 30, "-f", "null", "-",
        )
        assert done.returncode == 0, done.stderr
        assert second.stop(signal.SIGINT, 5) == 0
        assert not os.path.exists(told["ca"]), "the demo leaves nothing behind"


def test_help_has_examples_and_exit_codes():
    top = peers.run(peers.BINARY, "--help").stdout.decode()
    assert "Exit codes" in top and "78" in top
    for command in ("run", "check", "hash-password", "probe", "simulate", "demo"):
        assert "Examples:" in peers.run(peers.BINARY, command, "--help").stdout.decode(), command
    assert peers.run(peers.BINARY, "no-such-command").returncode == 2


@pytest.mark.parametrize(
    "options",
    [
        ["--codec", "h264"],
        ["--codec", "h265"],
        ["--codec", "h264", "--bitrate", "2000", "--fps", "30", "--gop", "60", "--login", "digest"],
        ["--codec", "h265", "--bitrate", "2000", "--fps", "20", "--gop", "40", "--login", "digest"],
        ["--codec", "h264", "--bitrate", "1000", "--fps", "10", "--gop", "10", "--login", "basic"],
    ],
    ids=" ".join,
)
def test_the_simulator_plays_in_a_foreign_player(options, work):
    login = ["--user", "admin", "--password", "simulated"] if "--login" in options else []
    with peers.Process(peers.BINARY, "simulate", "--cameras", 2, *options, *login) as simulator:
        first = simulator.first_line(r"(rtsp://\S+)")[1]
        second = simulator.first_line(r"(rtsp://\S+)")[1]
        for url in (first, second):
            at = url.replace("rtsp://", "rtsp://admin:simulated@") if login else url
            done = peers.run(
                peers.FFMPEG_OLD, "-nostdin", "-loglevel", "error", "-xerror", "-rtsp_transport", "tcp", "-i", at,
                "-map", "0:v", "-frames:v", 60, "-f", "null", "-",
            )
            assert done.returncode == 0 and done.stderr == b"", (url, done.stderr)
        assert simulator.stop(signal.SIGTERM, 5) == 0


def test_a_taken_port_is_said(work, guard):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = work / "taken.toml"
        config.write_text(
            f'[gateway]\nnames = ["localhost"]\nstate_dir = "{work}/taken"\n[rtsp]\nlisten = ["127.0.0.1:{port}"]\n' + guard
        )
        done = peers.run(peers.BINARY, "run", "--config", config)
        assert done.returncode == 1 and f"127.0.0.1:{port}" in done.stderr.decode(), done.stderr
