"""A camera that means harm: one mode a process, only standard library, only loopback.

    python3 hostile_camera.py MODE --port PORT --record FILE [--third HOST:PORT] [--marker TEXT]
    python3 hostile_camera.py MODE --stdin     one connection: the socket that is its standard input (tests/hostile.rs)
    python3 hostile_camera.py --list           the modes: name, right ends, limit in seconds, whether Basic is allowed

Prints `listening PORT`. What the gateway sent is appended to FILE; FILE.events gets a JSON line for each step, with
the time of CLOCK_MONOTONIC: `connect`, `attack` (the first hostile byte, or the begin of the silence), `closed` (the
gateway ended it) or `done` (the camera did, after its bounded time).
"""
import argparse
import itertools
import json
import math
import os
import pathlib
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import hostile_floods  # noqa: E402, F401 (these three put their modes into MODES)
import hostile_slow  # noqa: E402, F401
import hostile_words  # noqa: E402, F401
from hostile_markers import MARKERS  # noqa: E402
from hostile_modes import MODES  # noqa: E402
from hostile_talk import Closed, Done, Stream, Talk, pictures_of  # noqa: E402


# ---- The sound one -----------------------------------------------------------------------------


REFERENCE_FPS = 50


def reference(t):
    """Plays the clip for as long as it is asked to; FILE.PATH gets the number and the time of each picture, before it is
    sent."""
    t.deadline = math.inf
    t.play()
    sent = open(f"{t.record.name}.{t.path.strip('/').split('/')[0]}", "a", buffering=1)
    stream, clip, begin = Stream(), pictures_of("door.h264"), time.monotonic()
    for number in itertools.count():
        data = stream.unit(clip[number % len(clip)], 1000 + number * 90000 // REFERENCE_FPS)
        sent.write(f"{number % len(clip)} {time.monotonic()}\n")
        t.send(data)
        t.serve()
        t.pause(begin + (number + 1) / REFERENCE_FPS - time.monotonic())


# ---- The process -------------------------------------------------------------------------------


def serve(run, options):
    record, lock = open(options.record, "ab"), threading.Lock()
    events = open(os.devnull if options.stdin else f"{options.record}.events", "a")

    def connection(sock, number):
        def say(event):
            with lock:
                events.write(json.dumps({"n": number, "event": event, "t": time.monotonic()}) + "\n")
                events.flush()

        say("connect")
        try:
            run(Talk(sock, record, say, options))
            say("done")
        except Done:
            say("done")
        except (Closed, ConnectionError):
            say("closed")
        except Exception as fault:  # noqa: BLE001 (a fault of the test: said, and seen by it)
            say(f"fault {fault!r}")
        finally:
            sock.close()

    if options.stdin:
        print("ready", flush=True)
        return connection(socket.socket(fileno=0), 0)
    listener = socket.create_server(("127.0.0.1", options.port), backlog=8)
    print("listening", listener.getsockname()[1], flush=True)
    for number in range(1000):
        sock, _ = listener.accept()
        threading.Thread(target=connection, args=(sock, number), daemon=True).start()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=[*MODES, *MARKERS, "reference"], nargs="?")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--stdin", action="store_true")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--record", default=os.devnull)
    parser.add_argument("--third", default="127.0.0.77:9")
    parser.add_argument("--marker", default="MARKER")
    options = parser.parse_args()
    if options.list:
        for name, mode in MODES.items():
            print(name, ",".join(mode.ends), mode.within, mode.basic, sep="\t")
        return
    runs = {name: mode.run for name, mode in {**MODES, **MARKERS}.items()}
    serve({"reference": reference, **runs}[options.mode], options)


if __name__ == "__main__":
    main()
