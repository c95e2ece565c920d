"""An installation put into one file and out of it again, by the commands."""
import io
import os
import pathlib
import stat
import tarfile

import pytest

import peers
from conftest import left_out


def places(root):
    return ["--config", root / "etc/camlock.toml", "--state-dir", root / "state",
            "--segment-file", root / "etc/segment.toml", "--segment-state-dir", root / "segment-state"]


def backup(root, file):
    return peers.run(peers.BINARY, "backup", "--output", file, *places(root))


def restore(root, file, *more):
    return peers.run(peers.BINARY, "restore", file, *places(root), *more)


def content(root):
    return {
        str(path.relative_to(root)): (path.read_bytes(), stat.S_IMODE(path.stat().st_mode), path.stat().st_uid)
        for path in root.rglob("*") if path.is_file() and path.name != "lock"
    }


@pytest.fixture
def box(tmp_path):
    root = tmp_path / "box"
    (root / "etc/secrets").mkdir(parents=True)
    (root / "state").mkdir(mode=0o700)
    secret = root / "etc/secrets/door"
    secret.write_text("planted-camera-password")
    secret.chmod(0o640)
    elsewhere = tmp_path / "admin-token"
    elsewhere.write_text("planted-admin-token-0123456789")
    elsewhere.chmod(0o600)
    (root / "etc/camlock.toml").write_text(f"""
[gateway]
names = ["localhost"]
state_dir = "{root}/state"
[admin]
token = "file:{elsewhere}"
[[camera]]
name = "door"
address = "192.0.2.1:554"
user = "gateway"
password = "file:{secret}"
[[camera.stream]]
name = "main"
path = "/h264"
""")
    (root / "etc/segment.toml").write_text("[segment]\n")
    (root / "state/ca.key").write_text("planted-key")
    done = peers.run(peers.BINARY, "ledger", "example", "--days", 1, "--state-dir", root / "segment-state")
    assert done.returncode == 0, done.stderr
    return root


def test_round_trip_byte_for_byte(box, tmp_path):
    file = tmp_path / "backup.tar"
    done = backup(box, file)
    assert done.returncode == 0, done.stderr
    assert b"private keys" in done.stdout
    # What lies elsewhere is not taken, and that is said.
    assert b"admin-token: left out" in done.stdout, done.stdout
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    new = tmp_path / "new"
    done = restore(new, file)
    assert done.returncode == 0, done.stderr
    assert content(new) == content(box)
    assert "etc/secrets/door" in content(new)
    done = peers.run(peers.BINARY, "ledger", "verify", "--state-dir", new / "segment-state",
                     "--checkpoint", box / "segment-state/checkpoint.json")
    assert done.returncode == 0, done.stderr
    # Nothing is overwritten unasked, and what was there is kept.
    (new / "state/ca.key").write_text("newer")
    before = content(new)
    done = restore(new, file)
    assert done.returncode == 1 and b"nothing was changed" in done.stderr, done.stderr
    assert content(new) == before
    assert restore(new, file, "--force").returncode == 0
    assert (new / "state/ca.key").read_text() == "planted-key"
    assert (new / "state/ca.key.before-restore").read_text() == "newer"
    assert b"exists" in backup(box, file).stderr


@left_out(os.geteuid() and "files of other users need root")
def test_owners_come_back_by_name(box, tmp_path):
    os.chown(box / "etc/secrets/door", 0, 65534)
    os.chown(box / "state/ca.key", 65534, 4242)
    file = tmp_path / "backup.tar"
    assert backup(box, file).returncode == 0
    assert b'"user": "nobody"' in file.read_bytes()
    new = tmp_path / "new"
    assert restore(new, file).returncode == 0
    owner = lambda path: (path.stat().st_uid, path.stat().st_gid)  # noqa: E731
    assert owner(new / "etc/secrets/door") == (0, 65534)
    assert owner(new / "state/ca.key") == (65534, 4242)


def evil(name, kind=tarfile.REGTYPE, **fields):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.size = kind, 4 if kind == tarfile.REGTYPE else 0
        for field, value in fields.items():
            setattr(entry, field, value)
        archive.addfile(entry, io.BytesIO(b"evil"))
    return out.getvalue()


@pytest.mark.parametrize("archive", [
    evil("/etc/camlock-evil"), evil("../evil"), evil("state/../../evil"), evil("other/x"),
    evil("state/x", tarfile.SYMTYPE, linkname="/etc"), evil("state/x", tarfile.LNKTYPE, linkname="/etc/passwd"),
    evil("state/x", tarfile.CHRTYPE), evil("state/x", tarfile.DIRTYPE), evil("state/x"), b"", b"no tar" * 1000,
], ids=lambda archive: str(len(archive)))
def test_hostile_archives_change_nothing(tmp_path, archive):
    file = tmp_path / "evil.tar"
    file.write_bytes(archive)
    root = tmp_path / "root"
    root.mkdir()
    done = restore(root, file, "--force")
    assert done.returncode == 1 and done.stderr, done
    assert content(root) == {}
    assert not pathlib.Path("/etc/camlock-evil").exists() and not (tmp_path / "evil").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"evil.tar", "root"}


def test_a_changed_or_cut_backup_changes_nothing(box, tmp_path):
    file = tmp_path / "backup.tar"
    assert backup(box, file).returncode == 0
    whole = file.read_bytes()
    root = tmp_path / "root"
    for broken in [whole[: len(whole) // 2], whole.replace(b"planted-key", b"another-key"), whole[:512] + whole[1536:]]:
        file.write_bytes(broken)
        done = restore(root, file)
        assert done.returncode == 1, done.stdout
        assert content(root) == {} if root.exists() else True
