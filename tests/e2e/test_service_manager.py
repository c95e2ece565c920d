"""What the gateway takes from a service manager and tells it: listening sockets, readiness, reloads, signs of life.

The manager is a socket of the test, and systemd's own `systemd-socket-activate`. The units themselves are tested in
`tests/vm`.
"""
import contextlib
import os
import signal
import socket
import time

import pytest

import peers
from test_faults import shim  # noqa: F401

BAD_CONFIG = 78
# Of the watchdog, in these tests; the unit has 10 s.
PATIENCE = 4


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, work):
        self.path = work / f"notify-{os.urandom(4).hex()}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.environment = {"NOTIFY_SOCKET": str(self.path)}

    def hears(self, seconds):
        """The next message as its lines, None if none comes."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(4096).decode().splitlines()
        except TimeoutError:
            return None

    def hears_of(self, word, seconds=10):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            said = self.hears(max(0.01, deadline - time.monotonic()))
            if said and word in said:
                return said
        raise AssertionError(f"never told {word}")

    def silent(self, word, seconds):
        """Whether that is not told for so long."""
        with contextlib.suppress(AssertionError):
            return not self.hears_of(word, seconds)
        return True


@pytest.fixture
def manager(work):
    manager = Manager(work)
    with contextlib.closing(manager.socket):
        yield manager


@pytest.fixture
def gateway(work, manager, guard):
    environment = os.environ | manager.environment | {"WATCHDOG_USEC": str(PATIENCE * 1_000_000)}
    with peers.Gateway(work, guard, "managed", env=environment) as gateway:
        yield gateway


def test_ready_reloading_and_stopping_are_told(gateway, manager):
    said = manager.hears_of("READY=1")
    assert "STATUS=serves" in said, said
    gateway.process.send_signal(signal.SIGHUP)
    said = manager.hears_of("RELOADING=1")
    assert any(line.startswith("MONOTONIC_USEC=") for line in said), said
    manager.hears_of("READY=1")
    good = gateway.config.read_text()
    gateway.config.write_text("nonsense")
    gateway.process.send_signal(signal.SIGHUP)
    manager.hears_of("RELOADING=1")
    assert any("errors" in line for line in manager.hears_of("READY=1"))
    gateway.config.write_text(good)
    assert gateway.stop() == 0
    manager.hears_of("STOPPING=1", 1)


def test_signs_of_life_come_while_it_lives(gateway, manager):
    for _ in range(4):
        manager.hears_of("WATCHDOG=1", PATIENCE / 2)
    gateway.process.send_signal(signal.SIGSTOP)
    while manager.hears(0.1):
        pass
    assert manager.silent("WATCHDOG=1", PATIENCE)
    gateway.process.send_signal(signal.SIGCONT)
    manager.hears_of("WATCHDOG=1", PATIENCE / 2)


def test_an_accept_that_hangs_ends_the_signs_of_life(work, manager, config, shim):  # noqa: F811
    file, port, _ = config
    environment = os.environ | manager.environment | {
        "WATCHDOG_USEC": str(PATIENCE * 1_000_000),
        "LD_PRELOAD": str(shim), "FAULT": "accept:1:0", "FAULT_LOG": str(work / "hung"),
    }
    with peers.Process(peers.BINARY, "run", "--config", file, env=environment) as gateway:
        manager.hears_of("READY=1")
        manager.hears_of("WATCHDOG=1", PATIENCE / 2)
        connect(port).close()
        deadline = time.monotonic() + 5
        while not (work / "hung").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert (work / "hung").exists(), "the fault was not given"
        while manager.hears(0.6 * PATIENCE):
            pass
        assert manager.silent("WATCHDOG=1", PATIENCE)


def activated(work, config, *addresses):
    """`camlock run` with listening sockets at these addresses, started by the first connection to one."""
    listen = [f"--listen={address}" for address in addresses]
    return peers.Process("systemd-socket-activate", *listen, peers.BINARY, "run", "--config", config)


@pytest.fixture
def config(work, guard):
    """A configuration, its RTSPS port and its admin port."""
    state = work / "activated-state"
    state.mkdir(exist_ok=True)
    file, port, admin = work / "activated.toml", peers.free_port(), peers.free_port()
    file.write_text(
        f'[gateway]\nstate_dir = "{state}"\nnames = ["localhost", "127.0.0.1"]\n'
        f'[rtsp]\nlisten = ["127.0.0.1:{port}"]\n'
        f'[admin]\nlisten = "127.0.0.1:{admin}"\ntoken = "token"\n' + guard
    )
    return file, port, admin


def connect(port, seconds=10):
    deadline = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_the_manager_s_sockets_are_served(work, pki, config):
    file, port, admin = config
    with activated(work, file, f"127.0.0.1:{port}", f"127.0.0.1:{admin}") as gateway:
        connect(admin).close()
        deadline = time.monotonic() + 10
        while "gateway serves" not in gateway.said() and time.monotonic() < deadline:
            time.sleep(0.05)
        with connect(port) as client:
            client.sendall(b"no TLS")
            assert client.recv(100)[:1] == b"\x15", "a TLS alert"
        with connect(admin) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200"), gateway.said()
        assert gateway.stop() == 0


def test_a_socket_that_no_listener_wants_is_a_fault_of_the_configuration(work, config):
    file, port, _ = config
    other = peers.free_port()
    with activated(work, file, f"127.0.0.1:{port}", f"127.0.0.1:{other}") as gateway:
        connect(port).close()
        assert gateway.process.wait(10) == BAD_CONFIG
        assert f"listens on 127.0.0.1:{other}, which rtsp.listen" in gateway.said()


def test_a_socket_that_is_not_tcp_is_a_fault_of_the_configuration(work, config):
    with activated(work, config[0], work / "unix.socket") as gateway:
        with socket.socket(socket.AF_UNIX) as client:
            deadline = time.monotonic() + 10
            while not (work / "unix.socket").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            client.connect(str(work / "unix.socket"))
        assert gateway.process.wait(10) == BAD_CONFIG
        assert "not a listening TCP socket" in gateway.said()
