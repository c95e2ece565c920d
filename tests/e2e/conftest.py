"""One work folder a worker, one gateway with three cameras for all tests that only look.

Two workers share the tests (pytest-xdist, `--dist loadgroup`). What shares a costly fixture stays in one worker; any other
test goes to the worker that is free. A worker makes its session fixtures when it first needs them.
"""
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import matrix  # noqa: E402
import peers  # noqa: E402

PASSWORD = "planted-guard-password"
FOLDER = pathlib.Path(__file__).resolve().parent
DESELECTED = []
# (cells, whether all tests were asked for) of each worker.
SEEN = []
# Modules that take minutes.
FIRST = ["test_hostile", "test_recorders", "test_shapes", "test_faults", "test_segment_leak", "test_codecs"]


def left_out(why):
    """The mark of tests that cannot run here, if there is a reason; under CI that is a failure."""
    if why and os.environ.get("CI") == "true":
        pytest.fail(f"left out under CI: {why}", pytrace=False)
    return pytest.mark.skipif(bool(why), reason=f"left out: {why}")


def pytest_deselected(items):
    DESELECTED.extend(items)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """The longest first, so that no worker is left alone with them; and the group of each test."""
    items.sort(key=lambda item: FIRST.index(item.path.stem) if item.path.stem in FIRST else len(FIRST))
    for item in items:
        if name := group(item):
            item.add_marker(pytest.mark.xdist_group(name))


def group(item):
    """What a test shares with others: the three cameras, or a fixture of its module."""
    if "cameras" in item.fixturenames:
        return "cameras"
    scopes = {made[-1].scope for made in item._fixtureinfo.name2fixturedefs.values()}
    return item.path.stem if "module" in scopes else None


def pytest_sessionfinish(session):
    """docs/clients.md is compared with what was seen. A worker hands that on to the process that started it."""
    cells = [[*cell, outcome] for cell, outcome in matrix.RECORDED.items()]
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["seen"] = cells, is_whole(session)
        return
    if not SEEN:
        SEEN.append((cells, is_whole(session)))
    if session.config.option.collectonly or session.testsfailed:
        return
    if faults := compare(SEEN):
        print("\nwrite docs/clients.md anew with CAMLOCK_WRITE_TABLES=1 (tests/e2e/matrix.py):", *faults, sep="\n")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    if output := getattr(node, "workeroutput", None):
        SEEN.append(output["seen"])


def is_whole(session):
    """Whether this run is of all tests."""
    collected = {item.path for item in session.items}
    return not DESELECTED and collected >= set(FOLDER.glob("test_*.py"))


def compare(seen):
    """Lines of docs/clients.md, written and expected, that differ."""
    for cells, _ in seen:
        for *cell, outcome in cells:
            matrix.merge(tuple(cell), outcome)
    if "CAMLOCK_WRITE_TABLES" in os.environ and not matrix.missing():
        matrix.write()
    return matrix.stale(all(whole for _, whole in seen))


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
