"""The ledger in an auditor's hands: made by the code that writes the real one, read, touched, handed over."""
import csv
import hashlib
import html.parser
import io
import json
import os
import pathlib
import random
import re
import shutil
import subprocess

import pytest

import peers
from conftest import left_out

DAYS = ["2026-11-27", "2026-11-28", "2026-11-29"]


def ledger(*arguments, state, timeout=60):
    return peers.run(peers.BINARY, "ledger", *arguments, "--state-dir", state, timeout=timeout)


def make(state, day=DAYS[0], days=3):
    done = ledger("example", "--day", day, "--days", days, state=state)
    assert done.returncode == 0, done.stderr
    return state


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return make(tmp_path_factory.mktemp("ledger") / "state")


@pytest.fixture
def state(original, tmp_path):
    """A copy to be touched."""
    return pathlib.Path(shutil.copytree(original, tmp_path / "state"))


def files(state):
    return sorted((state / "ledger").glob("*.jsonl"))


def verify(state, *arguments):
    done = ledger("verify", *arguments, state=state)
    return done.returncode, (done.stdout + done.stderr).decode()


def touched(state, file, line, word, *arguments):
    """It must be found at this file and line."""
    code, said = verify(state, *arguments)
    assert code == 1, said
    assert f"TOUCHED: {file}:{line}: " in said and word in said, said


def test_an_untouched_ledger_is_whole_and_says_what_that_proves(original):
    code, said = verify(original)
    assert code == 0, said
    assert ": intact: " in said and "Proved: " in said and "Not proved: " in said and "root" in said
    code, said = verify(original, "--checkpoint", original / "checkpoint.json")
    assert code == 0 and "your checkpoint is in the chain" in said, said


def test_others_can_check_it_without_us(original, tmp_path):
    """What docs/evidence.md says of the form is enough for Python and openssl."""
    count, prev, checkpoints = 0, "0" * 64, 0
    for file in files(original):
        for line in file.read_bytes().splitlines():
            said = json.loads(line)
            assert (said["seq"], said["prev"]) == (count, prev)
            if "checkpoint" in said:
                checkpoints += 1
                seal = said["checkpoint"]
                if checkpoints % 60 == 1:
                    message, signature = tmp_path / "message", tmp_path / "signature"
                    message.write_bytes(
                        b"camlock ledger checkpoint 1\0" + count.to_bytes(8, "big") + bytes.fromhex(prev)
                        + said["time_ms"].to_bytes(8, "big") + seal["boot"].encode()
                    )
                    signature.write_bytes(bytes.fromhex(seal["signature"]))
                    done = peers.run("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", original / "ledger.pub",
                                     "-rawin", "-in", message, "-sigfile", signature)
                    assert done.returncode == 0, done.stdout + done.stderr
            count, prev = count + 1, hashlib.sha256(line).hexdigest()
    assert checkpoints > 200
    newest = (original / "checkpoint.json").read_bytes()
    assert files(original)[-1].read_bytes().endswith(newest)


def test_a_changed_bit_is_found_at_its_line(state):
    dice = random.Random(5)
    for _ in range(20):
        file = dice.choice(files(state))
        whole = file.read_bytes()
        at = dice.randrange(len(whole))
        changed = bytearray(whole)
        changed[at] ^= 1 << dice.randrange(8)
        file.write_bytes(changed)
        touched(state, file, whole[:at].count(b"\n") + 1, "")
        file.write_bytes(whole)
    assert verify(state)[0] == 0


def test_removed_repeated_and_swapped_lines_are_found(state):
    file = files(state)[1]
    lines = file.read_bytes().splitlines(keepends=True)
    for new, line, word in [
        (lines[:40] + lines[41:], 41, "removed"),
        (lines[1:], 1, "removed"),
        (lines[:41] + lines[40:], 42, "second time"),
        (lines[:40] + [lines[41], lines[40]] + lines[42:], 41, "moved"),
    ]:
        file.write_bytes(b"".join(new))
        touched(state, file, line, word)


def test_removed_days_and_cut_ends_are_found(state):
    first, second, third = files(state)
    text = third.read_bytes()
    lines = text.splitlines(keepends=True)
    third.write_bytes(b"".join(lines[:100]))
    touched(state, third, 100, "truncated")
    third.write_bytes(b"".join(lines[:100]) + lines[100][:50])
    touched(state, third, 101, "cut off in the middle")
    third.unlink()
    touched(state, second, len(second.read_bytes().splitlines()), "truncated")
    third.write_bytes(text)
    shutil.move(second, state / "away")
    touched(state, third, 1, "removed")
    shutil.move(state / "away", second)
    first.unlink()
    touched(state, second, 1, "removed")


def test_an_end_that_nothing_vouches_for_is_no_success(state):
    (state / "checkpoint.json").unlink()
    code, said = verify(state)
    assert code == 1 and "missing" in said, said


def test_a_foreign_key_is_found(original, tmp_path):
    other = make(tmp_path / "other")
    shutil.copy(original / "ledger.pub", other / "ledger.pub")
    code, said = verify(other)
    assert code == 1 and "another key" in said, said


def test_a_kept_checkpoint_exposes_a_ledger_that_root_wrote_anew(original, tmp_path):
    """Whoever has the key can write another past that is whole by itself."""
    anew = tmp_path / "anew"
    anew.mkdir(mode=0o700)
    shutil.copy(original / "ledger.key", anew)
    make(anew, day="2026-11-26", days=4)
    assert verify(anew)[0] == 0
    code, said = verify(anew, "--checkpoint", original / "checkpoint.json")
    assert code == 1 and "rewritten" in said, said
    assert re.search(r"\.jsonl:\d+: ", said), said
    # An older one of the same past is found in it.
    kept = tmp_path / "kept.json"
    seals = [line for line in files(original)[0].read_bytes().splitlines() if b'"checkpoint"' in line]
    kept.write_bytes(seals[7])
    assert verify(original, "--checkpoint", kept)[0] == 0
    kept.write_bytes(seals[7].replace(b'"time_ms":17', b'"time_ms":18'))
    code, said = verify(original, "--checkpoint", kept)
    assert code == 1 and "signature is wrong" in said, said


def test_show_and_devices_are_safe_for_a_terminal(original, state):
    done = ledger("show", "--day", DAYS[1], state=original)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    assert "dev.ezvizlife.com" in text and "door" in text and "sunk" in text
    assert len({line.index("VERDICT") for line in text.splitlines() if "VERDICT" in line}) == 1
    only = ledger("show", "--day", DAYS[1], "--camera", "yard", state=original).stdout.decode()
    assert "yard" in only and "door" not in only
    only = ledger("show", "--from", DAYS[0], "--to", DAYS[2], "--device", "02:00:00:00:00:66", state=original)
    assert b"mqtt" in only.stdout and b"yard" not in only.stdout
    devices = ledger("devices", "--day", DAYS[1], state=original).stdout.decode()
    assert "(not configured)" in devices and "android-dhcp-13" in devices
    # Even if somebody wrote escapes into the file: they are told, not obeyed.
    file = files(state)[1]
    file.write_bytes(file.read_bytes().replace(b'"vendor":"Dahua"', b'"vendor":"\\u001b[2J\\u202e"'))
    for command in ["show", "devices"]:
        said = ledger(command, "--day", DAYS[1], state=state).stdout
        assert b"\\x1b[2J" in said and b"\x1b" not in said and said.isascii(), said


def test_export_is_one_table_in_two_forms(original):
    done = ledger("export", "--format", "csv", "--from", DAYS[0], "--to", DAYS[2], state=original)
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    assert rows and all(None not in row and None not in row.values() for row in rows)
    cells = [cell for row in rows for cell in row.values()]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
    assert "'=cmd|' /C calc'!A0" in cells
    done = ledger("export", "--format", "json", "--from", DAYS[0], "--to", DAYS[2], state=original)
    said = json.loads(done.stdout)
    assert [(row["day"], row["count"]) for row in said["rows"]] == [(row["day"], int(row["count"])) for row in rows]
    assert len(said["canary"]) == len(said["events"]) == 3
    assert [gap["stopped"] for gap in said["gaps"]][:1] == [True]


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), ""

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}

    def handle_data(self, data):
        self.text += data


def test_the_report_is_one_page_without_scripts_or_links(original, tmp_path):
    page = tmp_path / "day.html"
    done = ledger("report", "--day", DAYS[0], "--output", page, state=original)
    assert done.returncode == 0, done.stderr
    tags = Tags()
    tags.feed(page.read_text())
    assert tags.tags <= {"html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "small", "p", "br",
                         "div", "b", "span", "table", "thead", "tbody", "tr", "th", "td", "i", "ul", "li", "code", "footer"}
    assert tags.attributes <= {"lang", "charset", "name", "content", "http-equiv", "class", "style"}
    for words in ["The ledger is whole", "The canary passed", "<img src=x onerror=alert(1)>", "not configured",
                  "the service was stopped", "What this page does not prove", "Root on the gateway"]:
        assert words in tags.text, words
    assert page.stat().st_size < 50_000


def test_the_report_of_a_touched_ledger_proves_nothing_and_says_so(state, tmp_path):
    file = files(state)[0]
    file.write_bytes(file.read_bytes().replace(b'"count":4', b'"count":0', 1))
    page = tmp_path / "day.html"
    done = ledger("report", "--day", DAYS[1], "--output", page, state=state)
    assert done.returncode == 1, done.stdout
    assert "proves nothing" in page.read_text()


def test_what_is_not_there_is_said(tmp_path):
    for command in [["show"], ["export"], ["devices"], ["report", "--day", DAYS[0], "--output", tmp_path / "x.html"]]:
        done = ledger(*command, state=tmp_path / "nothing")
        assert done.returncode == 1 and b"no ledger found" in done.stderr, done.stderr
    done = ledger("show", "--day", "2026-02-30", state=tmp_path)
    assert done.returncode == 2 and b"a UTC day" in done.stderr


@left_out(os.geteuid() and "a small tmpfs needs root")
def test_a_full_disk_is_said_and_leaves_a_whole_ledger(tmp_path):
    inside = f"""
        set -e
        mount -t tmpfs -o size=1m,mode=0700 camlock-test {tmp_path}
        {peers.BINARY} ledger example --days 30 --state-dir {tmp_path}/state && exit 9
        # The day's file ends where the last whole line does, or in a piece that the next write would cut off.
        tail -c 1 {tmp_path}/state/ledger/*.jsonl | od -c | head -1
        {peers.BINARY} ledger verify --state-dir {tmp_path}/state
    """
    done = subprocess.run(["unshare", "--mount", "sh", "-c", inside], capture_output=True, timeout=60)
    assert b"No space left on device" in done.stderr and b"retried" in done.stderr, done.stderr
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert b": intact: " in done.stdout
