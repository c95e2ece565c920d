"""One work folder a run, one gateway with three cameras for all tests that only look."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import matrix  # noqa: E402
import peers  # noqa: E402

PASSWORD = "planted-guard-password"
FOLDER = pathlib.Path(__file__).resolve().parent
DESELECTED = []


def pytest_deselected(items):
    DESELECTED.extend(items)


def pytest_collection_modifyitems(items):
    """What compares the tables with the run comes after what fills them."""
    items.sort(key=lambda item: item.path.name == "test_matrix.py")


@pytest.fixture(scope="session")
def whole_run(request):
    """Whether this run is of all tests."""
    collected = {item.path for item in request.session.items}
    return not DESELECTED and collected >= set(FOLDER.glob("test_*.py"))


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="session")
def pki(work):
    return peers.Pki(work)


@pytest.fixture(scope="session")
def guard(work):
    """A person's account: argon2id, may view and listen everywhere."""
    return peers.user_toml(
        "guard", "password_hash", peers.password_hash(PASSWORD), {"*": ["view", "listen"]}
    )


@pytest.fixture(scope="session")
def vms():
    """A VMS's account: a generated secret. Returns (toml, secret)."""
    done = peers.run(peers.BINARY, "hash-password", "--generate", "recorder")
    assert done.returncode == 0, done.stderr
    comment, pair = done.stdout.decode().strip().splitlines()
    toml = f'[[user]]\nname = "recorder"\n{pair}\n[[user.grant]]\nstreams = "*"\nmay = ["view", "listen"]\n'
    return toml, comment.split()[-1]


@pytest.fixture(scope="session")
def cameras(work):
    """gst-rtsp-server without a login, with Basic, and with Digest."""
    with peers.Camera(work, "none") as none, peers.Camera(work, "basic") as basic, peers.Camera(work, "digest") as digest:
        yield {"none": none, "basic": basic, "digest": digest}


@pytest.fixture(scope="session")
def gateway(work, pki, guard, vms, cameras):
    """The gateway in front of the three cameras: streams none/h264, basic/h265, ..."""
    config = f'[tls]\nclient_certificates = "optional"\nclient_ca = "{pki.ca}"\n' + guard + vms[0]
    config += peers.user_toml("vms-certificate", "certificate", "cn:vms", {"*": ["view", "listen"]})
    config += peers.user_toml(
        "viewer", "password_hash", peers.password_hash(PASSWORD), {"none/h264": ["view"]}
    )
    for name, camera in cameras.items():
        login = {} if name == "none" else {"user": camera.user, "password": camera.password}
        config += peers.camera_toml(
            name, camera.port, {"h264": ("/h264", "always"), "h265": ("/h265", "on-demand")}, basic=name == "basic", **login
        )
    with peers.Gateway(work, config) as gateway:
        for name in cameras:
            gateway.wait_health(f"{name}/h264", "playing")
        yield gateway
