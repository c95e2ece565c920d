"""What is off by default and works when it is asked for: TLS 1.2, plain RTSP on loopback, certificate files, Digest alone."""
import re
import socket
import ssl

import pytest

import peers


@pytest.fixture(scope="module")
def optional(work, pki, vms):
    """A gateway with every option of the listener turned on, in front of a simulated camera."""
    plain = peers.free_port()
    with peers.Process(peers.BINARY, "simulate") as simulator:
        port = int(simulator.first_line(r"rtsp://127\.0\.0\.1:(\d+)")[1])
        config = vms[0] + peers.camera_toml("cam", port, {"main": ("/main", "always")})
        config += f'[tls]\noldest_version = "1.2"\ncertificate = "{pki.cert}"\nkey = "{pki.key}"\n'
        rtsp = f'plain_listen = ["127.0.0.1:{plain}"]\nlogin = ["digest-md5"]\n'
        with peers.Gateway(work, config, "optional", rtsp) as gateway:
            gateway.wait_health("cam/main", "playing")
            gateway.plain = plain
            yield gateway


def test_tls_1_2_by_option(optional, pki):
    context = ssl.create_default_context(cafile=str(pki.ca))
    context.check_hostname = False  # the certificate is a client's; its name is not the matter here
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", optional.port)) as raw:
        with context.wrap_socket(raw) as tls:
            assert tls.version() == "TLSv1.2"
            assert "ECDHE" in tls.cipher()[0]


def test_plain_rtsp_on_loopback_asks_for_digest(optional, work, vms):
    url = f"rtsp://recorder:{vms[1]}@127.0.0.1:{optional.plain}/cam/main"
    for binary in (peers.FFMPEG_OLD, peers.FFMPEG_NEW):
        played = peers.play_ffmpeg(binary, url, 50, work, ["-rtsp_transport", "tcp"])
        assert played.status == 0 and played.errors == "" and len(played.numbers()) == 50, played.errors
    with socket.create_connection(("127.0.0.1", optional.plain), timeout=5) as raw:
        raw.sendall(f"DESCRIBE rtsp://127.0.0.1:{optional.plain}/cam/main RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
        answer = raw.recv(4000).decode()
    assert answer.startswith("RTSP/1.0 401") and "Basic" not in answer and "algorithm=MD5" in answer


def test_digest_alone_by_option(optional, work, vms):
    url = optional.url("cam/main", f"recorder:{vms[1]}")
    played = peers.play_ffmpeg(peers.FFMPEG_OLD, url, 50, work, ["-rtsp_transport", "tcp"])
    assert played.status == 0 and played.errors == "", played.errors
    wrong = optional.url("cam/main", "recorder:wrong-secret")
    refused = peers.play_ffmpeg(peers.FFMPEG_OLD, wrong, 1, work, ["-rtsp_transport", "tcp"])
    assert refused.status != 0 and re.search("401|Unauthorized", refused.errors)
