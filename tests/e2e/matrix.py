"""What the tests saw, as the tables of docs/clients.md.

A test that has played something says so in one line, after its assertions:

    matrix.record("codecs", client="ffmpeg 9", codec="H.264")
    matrix.record("codecs", "pictures only", client="motion", codec="A-law")      # the outcome is "ok" if not given

The table must be in `TABLES` below, with that row and that column. The names of the keys are the table's own; a name or value
that is not declared fails the test. A cell may be recorded often, but always with the same outcome. Outcomes are the same in
every run: no times, no counts. What a client cannot do stands in the table's `never`, with the reason; every other cell must be
recorded by some test.

    pytest tests/e2e                                  fails if docs/clients.md says something else than the run (versions aside)
    pytest tests/e2e/test_{clients,recorders}.py      compares the cells that were recorded
    CAMLOCK_WRITE_TABLES=1 pytest tests/e2e           writes the file if nothing failed and no cell is missing; the modules
                                                      that record are enough for that

The comparison is made at the end of the run (conftest.py), over what all workers saw.

The text around the tables is clients.md beside this file; `{{codecs}}` in it is the place of that table.
"""
import dataclasses
import pathlib
import re

import shapes
import versions

HERE = pathlib.Path(__file__).resolve().parent
FILE = HERE.parent.parent / "docs/clients.md"
TEXT = HERE / "clients.md"


@dataclasses.dataclass
class Table:
    """Rows times columns. `never`: (row, column) -> why this client cannot do that; a column of None is the whole row."""

    row: str
    column: str
    rows: list
    columns: list
    never: dict = dataclasses.field(default_factory=dict)

    def cells(self):
        return [(row, column) for row in self.rows for column in self.columns if self.reason(row, column) is None]

    def reason(self, row, column):
        return self.never.get((row, column)) or self.never.get((row, None))


CLIENTS = ["ffmpeg 9", "ffmpeg 5.1", "PyAV", "OpenCV", "rtspsrc", "rtspsrc onvif-mode", "motion", "ZoneMinder"]
SOUND = ["A-law", "µ-law", "G.726", "L16"]
# Clients that take the pictures alone.
SILENT = ["OpenCV", "motion"]
# ffmpeg 5.1 and what stands on its libraries in Debian 12.
ON_FFMPEG_5 = ["ffmpeg 5.1", "motion", "ZoneMinder"]
NO_SOUND = "it takes no sound"
NO_WEBSOCKET = "it knows no RTSP over WebSocket"
WEBSOCKET_ONLY = "a WebSocket client of Python in front of PyAV"
NO_TLS_OPTIONS = "its RTSP code hands no TLS options on"
TABLES = {
    "codecs": Table(
        "client", "codec", CLIENTS, ["H.264", "H.265", "MJPEG", *SOUND],
        {(client, codec): NO_SOUND for client in SILENT for codec in SOUND},
    ),
    "transports": Table(
        "client", "transport", [*CLIENTS, "websockets"],
        ["RTSPS", "RTSP over HTTPS", "RTSP over WebSocket", "plain RTSP on loopback"],
        {(client, "RTSP over WebSocket"): NO_WEBSOCKET for client in CLIENTS}
        | {("websockets", way): WEBSOCKET_ONLY for way in ("RTSPS", "RTSP over HTTPS", "plain RTSP on loopback")}
        | {("ZoneMinder", "RTSP over HTTPS"): "it knows the tunnel without TLS alone"},
    ),
    "logins": Table(
        "client", "login", CLIENTS, ["password", "generated secret", "client certificate", "Digest only"],
        {(client, "client certificate"): NO_TLS_OPTIONS for client in ON_FFMPEG_5},
    ),
    "shapes": Table("shape", "client", [shape.name for shape in shapes.SHAPES], ["ffmpeg 9", "rtspsrc"]),
}

RECORDED = {}


def record(table, outcome="ok", **keys):
    """Notes that a cell was seen with this outcome."""
    declared = TABLES[table]
    assert set(keys) == {declared.row, declared.column}, f"{table} has {declared.row} and {declared.column}, not {set(keys)}"
    row, column = keys[declared.row], keys[declared.column]
    assert row in declared.rows and column in declared.columns, f"matrix.TABLES[{table!r}] has no cell {keys}"
    assert declared.reason(row, column) is None, f"{table}: {keys} stands in `never`, but a test has seen it"
    assert not set(outcome) & set("|\n[]"), outcome
    merge((table, row, column), outcome)


def merge(cell, outcome):
    before = RECORDED.setdefault(cell, outcome)
    assert before == outcome, f"{cell} was {before!r} before, now {outcome!r}"


def missing():
    """The cells that no test has recorded."""
    return [(name, *cell) for name, table in TABLES.items() for cell in table.cells() if (name, *cell) not in RECORDED]


def render(recorded, versions_table):
    """The whole file."""
    text = TEXT.read_text()
    assert set(re.findall(r"\{\{(\w+)\}\}", text)) == {*TABLES, "versions"}, "a table without a place, or a place without a table"
    for name, table in TABLES.items():
        text = text.replace("{{%s}}" % name, render_table(name, table, recorded))
    return text.replace("{{versions}}", versions_table)


def render_table(name, table, recorded):
    """Markdown, with the reasons for empty cells numbered below."""
    reasons = []
    lines = [f"| {table.row} | {' | '.join(table.columns)} |", "|---" * (1 + len(table.columns)) + "|"]
    for row in table.rows:
        cells = []
        for column in table.columns:
            reason = table.reason(row, column)
            if reason is None:
                cells.append(recorded[name, row, column])
                continue
            if reason not in reasons:
                reasons.append(reason)
            cells.append(f"– ({reasons.index(reason) + 1})")
        lines.append(f"| {row} | {' | '.join(cells)} |")
    notes = [f"{number}. {reason[0].upper()}{reason[1:]}." for number, reason in enumerate(reasons, 1)]
    return "\n".join(lines + ([""] + notes if notes else []))


def write():
    """Writes docs/clients.md; a run that has not seen every cell writes nothing."""
    assert not missing(), f"not seen by this run: {missing()}"
    FILE.write_text(render(RECORDED, versions.table()))


def stale(whole):
    """What docs/clients.md says otherwise than this run; `whole`: whether the run was of all tests."""
    text = FILE.read_text()
    recorded = RECORDED
    if whole and missing():
        return [f"no test records {', '.join(cell)}" for cell in missing()]
    if not whole:
        recorded = {(name, *cell): "" for name, table in TABLES.items() for cell in table.cells()} | read(text) | RECORDED
    begin = text.find(versions.HEAD)
    versions_table = text[begin : text.find("\n\n", begin)].rstrip("\n")
    expected = render(recorded, versions_table)
    return [line for line in expected.splitlines() if line not in text.splitlines()] + [
        line for line in text.splitlines() if line not in expected.splitlines()
    ]


def read(text):
    """(table, row, column) -> outcome, of the tables in a written file."""
    cells = {}
    for name, table in TABLES.items():
        head = f"| {table.row} | {' | '.join(table.columns)} |\n"
        for line in text.partition(head)[2].split("\n\n")[0].splitlines()[1:]:
            row, *outcomes = [cell.strip() for cell in line.strip("|").split("|")]
            cells |= {(name, row, column): outcome for column, outcome in zip(table.columns, outcomes)}
    return cells
