"""`camlock probe` against foreign and simulated cameras; what it prints is fed to `camlock check`."""
import json
import os
import socket

import pytest

import peers

SECRET = "planted-camera-password"


def probe(*options, env=None):
    done = peers.run(peers.BINARY, "probe", *options, env={**os.environ, **(env or {})}, timeout=40)
    out, err = done.stdout.decode(), done.stderr.decode()
    assert SECRET not in out + err
    return done.returncode, out, err


def loads(work, text):
    """Whether `camlock check` takes what was printed, as it stands."""
    config = work / "probed.toml"
    config.write_text(f'[gateway]\nnames = ["localhost"]\nstate_dir = "{work}"\n{text}')
    done = peers.run(peers.BINARY, "check", config)
    assert done.returncode == 0, done.stderr.decode()
    assert b"1 cameras, 1 streams" in done.stdout and done.stderr == b"", (done.stdout, done.stderr)


@pytest.fixture(scope="module")
def password_file(work):
    path = work / "probe.password"
    path.write_text(SECRET + "\n")
    return path


@pytest.mark.parametrize("path, codec, sound", [("/h264", "H.264", "A-law"), ("/h265", "H.265", "µ-law")])
def test_a_foreign_camera_is_measured(cameras, work, path, codec, sound):
    url = f"rtsp://127.0.0.1:{cameras['none'].port}{path}"
    status, out, err = probe(url, "--json", "--seconds", 5, "--name", "door")
    assert status == 0 and err == "", err
    told = json.loads(out)
    video, audio = told["tracks"]
    assert told["login"] == "none" and told["ended"] is None
    assert (video["codec"], video["width"], video["height"]) == (codec, peers.WIDTH, peers.HEIGHT)
    assert abs(video["rate"] - 25) < 1.5 and video["key_frames"] >= 2, video
    assert video["key_frame_interval"]["most_pictures"] == 25, video
    assert sound in audio["codec"] and (audio["sample_rate"], audio["channels"]) == (8000, 1)
    assert abs(audio["bit_rate"] - 64000) < 5000, audio
    assert told["airlock"]["bytes"] > 50000
    loads(work, told["config"])


def test_a_camera_whose_pictures_stand_alone_is_measured(cameras, work):
    status, out, err = probe(f"rtsp://127.0.0.1:{cameras['none'].port}/jpeg", "--json", "--seconds", 4, "--name", "door")
    assert status == 0 and err == "", err
    told = json.loads(out)
    video, audio = told["tracks"]
    assert (video["codec"], video["width"], video["height"]) == ("MJPEG", peers.WIDTH, peers.HEIGHT)
    assert video["key_frames"] == video["units"] > 50 and video["key_frame_interval"]["most_pictures"] == 1, video
    assert (audio["codec"], audio["sample_rate"], audio["channels"]) == ("L16", 44100, 2)
    assert "parameters_in_band" not in str(told["quirks"])
    loads(work, told["config"])


def test_a_login_is_used_named_and_never_printed(cameras, work, password_file):
    url = f"rtsp://127.0.0.1:{cameras['digest'].port}/h264"
    status, out, err = probe(url, "--user", "admin", "--password-ref", f"file:{password_file}", "--seconds", 3)
    assert status == 0, err
    assert "login: digest-md5" in out and f'password = "file:{password_file}"' in out
    assert 'name = "camera"' in out and "H.264" in out
    loads(work, out)

    status, out, err = probe(url, "--user", "admin", "--password-ref", "env:WRONG", env={"WRONG": "other"})
    assert status == 1 and "refused user or password" in err, err
    status, out, err = probe(url, "--json")
    assert status == 1 and json.loads(out)["error"]["reason"] == "login_required"


def test_basic_goes_out_only_if_allowed(cameras, work, password_file):
    url = f"rtsp://127.0.0.1:{cameras['basic'].port}/h264"
    login = ["--user", "admin", "--password-ref", f"file:{password_file}", "--seconds", 2]
    status, _, err = probe(url, *login)
    assert status == 1 and "only Basic" in err, err
    status, out, err = probe(url, *login, "--allow-basic")
    assert status == 0 and "login: basic" in out and 'basic = "allow"' in out, err
    loads(work, out)


def test_the_simulator_is_measured_as_it_was_told(work):
    line = ["--codec", "h264", "--bitrate", 2000, "--fps", 20, "--gop", 40, "--login", "digest-sha256"]
    login = ["--user", "admin", "--password", SECRET]
    with peers.Process(peers.BINARY, "simulate", *line, *login) as simulator:
        url = simulator.first_line(r"(rtsp://\S+)")[1]
        ask = ["--user", "admin", "--password-ref", "env:PW", "--seconds", 6, "--json"]
        status, out, err = probe(url, *ask, env={"PW": SECRET})
    assert status == 0, err
    told = json.loads(out)
    video, audio = told["tracks"]
    assert told["login"] == "digest-sha256"
    assert abs(video["rate"] - 20) < 1 and abs(video["bit_rate"] - 2e6) < 4e5, video
    assert video["key_frame_interval"]["most_pictures"] == 40, video
    assert (audio["codec"], audio["sample_rate"]) == ("AAC-LC", 48000)


def test_another_host_in_the_cameras_urls_is_told_and_not_dialled(work):
    with socket.create_server(("127.0.0.1", 0)) as third:
        third.setblocking(False)
        named = f"127.0.0.1:{third.getsockname()[1]}".replace("127.0.0.1", "localhost")
        port, record = peers.free_port(), work / "probe-third.received"
        camera = [peers.SYSTEM_PYTHON, "-I", peers.HERE / "hostile_camera.py", "third_content_base"]
        with peers.Process(*camera, "--port", port, "--record", record, "--third", named) as camera:
            camera.first_line(r"listening")
            ask = ["--user", "admin", "--password-ref", "env:PW", "--seconds", 2, "--json"]
            status, out, err = probe(f"rtsp://127.0.0.1:{port}/stream", *ask, env={"PW": SECRET})
        assert status == 0, err
        told = json.loads(out)
        assert "other_host" in [quirk["quirk"] for quirk in told["quirks"]], told
        assert named not in out and f"rtsp://{named}/track1".encode() in record.read_bytes()
        with pytest.raises(BlockingIOError):
            third.accept()


def test_a_vendors_path_is_asked_for():
    """What goes over the wire, seen by a listener."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        command = [peers.BINARY, "probe", "--hikvision", host, "--recorder", "--channel", "12", "--stream", "sub"]
        with peers.Process(*command) as process:
            listener.settimeout(10)
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                text = connection.recv(4096)
            assert f"rtsp://{host}/Streaming/Channels/1202".encode() in text, text
            process.process.wait(20)
            assert process.process.returncode == 1 and "closed the connection" in process.said()


@pytest.mark.parametrize(
    "options, why",
    [
        (["rtsp://camera.example/a"], "IP address"),
        ([f"rtsp://admin:{SECRET}@127.0.0.1/a"], "--user"),
        (["rtsp://127.0.0.1/a", "--user", "u", "--password-ref", SECRET], "file:/path"),
        (["--tapo", "127.0.0.1", "--recorder"], "documents no path"),
    ],
    ids=["name", "account in the URL", "password on the line", "no template"],
)
def test_what_is_refused_is_said_and_not_quoted(options, why):
    status, out, err = probe(*options)
    assert status == 1 and why in err and out == "", err
