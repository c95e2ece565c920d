"""Closed by default: wrong CA, password, stream, track, transport; what a permit does not cover is not shown."""
import base64
import socket
import ssl
import time

import pytest

import peers
import players
from conftest import PASSWORD


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def rtsp(gateway):
    client = peers.Rtsp(gateway)
    yield client
    client.close()


def test_a_wrong_ca_is_noticed_by_the_clients(gateway, work, pki):
    url = gateway.url("none/h264", f"guard:{PASSWORD}")
    options = ["-rtsp_transport", "tcp", "-ca_file", pki.other_ca, "-tls_verify", "1"]
    assert peers.play_ffmpeg(peers.FFMPEG_NEW, url, 1, work, options).status != 0
    assert peers.play_gstreamer(url, 1, work, pki.other_ca, login=("guard", PASSWORD), seconds=10).status != 0
    played = players.opencv(players.Access(gateway.url("none/h264"), pki.other_ca, ("guard", PASSWORD)), work)
    assert played.status != 0 and "certificate verify failed" in played.errors, played.errors


def test_names_of_the_certificate_hold(gateway):
    context = ssl.create_default_context(cafile=str(gateway.ca))
    for name in ("localhost", "127.0.0.1"):
        with socket.create_connection(("127.0.0.1", gateway.port)) as raw:
            with context.wrap_socket(raw, server_hostname=name) as tls:
                assert tls.version() == "TLSv1.3"
    with socket.create_connection(("127.0.0.1", gateway.port)) as raw, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(raw, server_hostname="elsewhere.example")


def test_a_client_certificate_of_another_ca_is_refused(gateway, work, pki):
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        client = peers.Rtsp(gateway, cert=str(pki.other_ca), key=str(work / "other-ca.key"))
        client.ask("OPTIONS", gateway.url("none/h264"))


def test_tls_1_2_is_refused_by_default(gateway):
    context = ssl.create_default_context(cafile=str(gateway.ca))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", gateway.port)) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw, server_hostname="localhost")


def test_status_codes(rtsp, gateway):
    url = gateway.url("none/h264")
    login = basic("guard", PASSWORD)
    status, headers, _ = rtsp.ask("OPTIONS", url)
    assert status == 200
    for method in ("DESCRIBE", "SETUP", "PLAY", "PAUSE", "GET_PARAMETER", "SET_PARAMETER", "TEARDOWN"):
        assert method in headers["public"]
    status, headers, _ = rtsp.ask("DESCRIBE", url)
    assert status == 401 and "www-authenticate" in headers
    assert rtsp.ask("DESCRIBE", url, Authorization=basic("guard", "wrong password"))[0] == 401
    assert rtsp.ask("DESCRIBE", url, Authorization=basic("nobody", PASSWORD))[0] == 401
    assert rtsp.ask("DESCRIBE", gateway.url("none/none"), Authorization=login)[0] == 404
    assert rtsp.ask("DESCRIBE", gateway.url("elsewhere/h264"), Authorization=login)[0] == 404
    assert rtsp.ask("ANNOUNCE", url, Authorization=login)[0] in (405, 501)
    assert rtsp.ask("RECORD", url, Authorization=login)[0] in (405, 501)
    require = {"Authorization": login, "Require": "www.onvif.org/ver20/backchannel"}
    status, headers, _ = rtsp.ask("DESCRIBE", url, **require)
    assert status == 551 and "backchannel" in headers["unsupported"]
    status, headers, body = rtsp.ask("DESCRIBE", url, Authorization=login)
    assert status == 200 and b"m=video" in body and b"m=audio" in body
    base = headers["content-base"]
    udp = {"Authorization": login, "Transport": "RTP/AVP;unicast;client_port=4000-4001"}
    assert rtsp.ask("SETUP", base + "trackID=0", **udp)[0] == 461
    tcp = {"Authorization": login, "Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
    assert rtsp.ask("SETUP", base + "trackID=7", **tcp)[0] == 404
    assert rtsp.ask("PLAY", base, Authorization=login, Session="nobody")[0] == 454
    status, headers, _ = rtsp.ask("SETUP", base + "trackID=0", **tcp)
    assert status == 200 and "timeout=60" in headers["session"]
    session = headers["session"].split(";")[0]
    foreign = peers.Rtsp(gateway)
    assert foreign.ask("PLAY", base, Authorization=login, Session=session)[0] == 454
    foreign.close()
    status, headers, _ = rtsp.ask("PLAY", base, Authorization=login, Session=session)
    assert status == 200 and "seq=" in headers["rtp-info"] and "rtptime=" in headers["rtp-info"]


def test_a_grant_covers_what_it_says(gateway):
    """`viewer` may view none/h264 and nothing else: no sound, no other stream."""
    client = peers.Rtsp(gateway)
    login = {"Authorization": basic("viewer", PASSWORD)}
    status, headers, body = client.ask("DESCRIBE", gateway.url("none/h264"), **login)
    assert status == 200 and b"m=video" in body and b"m=audio" not in body
    transport = "RTP/AVP/TCP;unicast;interleaved=2-3"
    assert client.ask("SETUP", headers["content-base"] + "trackID=1", Transport=transport, **login)[0] == 404
    for stream in ("none/h265", "basic/h264", "digest/h265"):
        assert client.ask("DESCRIBE", gateway.url(stream), **login)[0] == 404
    client.close()


def test_nothing_answers_without_tls(gateway):
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as raw:
        raw.sendall(b"OPTIONS rtsp://127.0.0.1/none/h264 RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        try:
            answer = raw.recv(1000)
        except ConnectionError:
            answer = b""
        assert b"RTSP/1.0" not in answer


def test_a_silent_connection_is_closed(gateway):
    context = ssl.create_default_context(cafile=str(gateway.ca))
    raw = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
    before_hello, begin = socket.create_connection(("127.0.0.1", gateway.port), timeout=10), time.monotonic()
    tls = context.wrap_socket(raw, server_hostname="localhost")
    assert tls.recv(1) == b""
    assert before_hello.recv(1) == b""
    assert 4 < time.monotonic() - begin < 7


def test_no_secret_is_printed(gateway, cameras, vms):
    said = gateway.said() + gateway.page("/metrics") + str(gateway.page("/readyz"))
    for secret in (PASSWORD, vms[1], gateway.token, *(camera.password for camera in cameras.values())):
        assert secret not in said
