"""Recorders store what cameras show through the gateway for a while: no picture missing, no reconnect.

All start at once and record all their streams side by side; the tests judge what each stored. What was seen goes into
docs/clients.md (matrix.py).
"""
import contextlib
import dataclasses
import time

import numpy
import pytest

import matrix
import peers
import recorders
import test_codecs
from conftest import PASSWORD
from players import Access
from test_clients import Run, access, digest_gateway  # noqa: F401 (two are fixtures)
from test_codecs import camera, codecs_gateway  # noqa: F401 (fixtures)

# Of stills of each stream, and of film at the least; how long they may take to come up and to store so much.
STILLS, FILM, PATIENCE = 35, 30, 180
# Of one core, for all streams of a recorder.
MOST_CPU = 0.5

RUNS = [
    run
    for recorder in recorders.RECORDERS
    for run in (
        Run(recorder),
        Run(recorder, "none/h265", "generated secret"),
        Run(recorder, login="Digest only", transport="plain RTSP on loopback"),
        Run(recorder, transport="RTSP over HTTPS"),
    )
    if run.possible()
]
RUNS += [
    Run(recorder, f"cam/{path}")
    for recorder in recorders.RECORDERS
    for path in test_codecs.STREAMS
    if test_codecs.seen(recorder, path)
]


@dataclasses.dataclass
class Seen:
    cpu: float
    recording: recorders.Recording = None


@pytest.fixture(scope="module")
def place(access, gateway, codecs_gateway):  # noqa: F811
    """Run -> Access."""
    login = ("guard", PASSWORD)

    def of(run):
        if run.stream.startswith("cam/"):
            return Access(codecs_gateway.url(run.stream), codecs_gateway.ca, login)
        if run.transport == "RTSP over HTTPS":
            return Access(f"rtsp://127.0.0.1:{gateway.port}/{run.stream}", gateway.ca, login, tunnel="https")
        return access(run)

    return of


@pytest.fixture(scope="module")
def recorded(request, place, work):
    """Run -> what was seen of it, of all runs that this session asks for."""
    asked = [item.callspec.params["run"] for item in request.session.items if item.originalname == "test_records"]
    seen = {}
    with contextlib.ExitStack() as stack:
        running = []
        for name, make in recorders.RECORDERS.items():
            runs = {run: place(run) for run in asked if run.client == name}
            if runs:
                running.append((stack.enter_context(make(work, runs)), time.monotonic(), runs))
        deadline = time.monotonic() + PATIENCE
        while missing := [str(run) for recorder, _, runs in running for run in runs if len(recorder.stored(run)) < STILLS]:
            assert all(process.alive() for recorder, *_ in running for process in recorder.processes), "one ended early"
            assert time.monotonic() < deadline, f"too little is stored of {missing}"
            time.sleep(1)
        for recorder, begin, runs in running:
            cpu = recorder.cpu_seconds() / (time.monotonic() - begin)
            seen |= {run: Seen(cpu) for run in runs}
        for recorder, *_ in running:
            recorder.stop()
        for recorder, _, runs in running:
            for run in runs:
                seen[run].recording = recorder.recording(run)
    return seen


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_records(run, recorded, cameras, camera):  # noqa: F811
    seen = recorded[run]
    film, stills = seen.recording.film, seen.recording.stills
    assert seen.recording.complaints == [], "\n".join(seen.recording.complaints)
    assert None not in film + stills, "unreadable pictures"
    assert len(film) >= FILM * recorders.FPS and peers.consecutive(film), film
    assert len(stills) >= STILLS and all(a < b for a, b in zip(stills, stills[1:])), stills
    name, path = run.stream.split("/")
    assert set(film + stills) <= set((cameras | {"cam": camera})[name].sent(f"/{path}")), "pictures that the camera did not send"
    assert seen.cpu < MOST_CPU
    if run.sound:
        loud = numpy.abs(seen.recording.sound.astype(int)) > 5000
        assert loud.sum() > len(film) // recorders.FPS * 100, "fewer beeps than seconds"
    for table, keys in run.cells():
        matrix.record(table, **keys)
    for codec in test_codecs.seen(run.client, path) if name == "cam" else ():
        matrix.record("codecs", client=run.client, codec=codec)
