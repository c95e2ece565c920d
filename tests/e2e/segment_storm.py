#!/usr/bin/env python3
"""A camera that cannot get out and does not give up: DNS questions and TLS hellos at a pace, in the namespace it is
started in.

    segment_storm.py SECONDS QUESTIONS_A_SECOND HELLOS_A_SECOND

Prints what became of them as one line of JSON. Needs nothing but Python.
"""
import asyncio
import contextlib
import json
import ssl
import struct
import sys
import time

NAME, RESOLVER, CLOUD = "alarm.ezviz7.com", "203.0.113.53", "203.0.113.7"


def question(number):
    labels = b"".join(bytes([len(label)]) + label for label in NAME.encode().split(b"."))
    return struct.pack(">HHHHHH", number & 0xFFFF, 0x100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


def hello():
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=NAME)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


class Answers(asyncio.DatagramProtocol):
    def __init__(self, told):
        self.told = told

    def datagram_received(self, data, _):
        self.told["answered"] += 1

    def error_received(self, _):
        pass


async def ask(told, end, pace):
    loop, begin = asyncio.get_running_loop(), time.monotonic()
    transport, _ = await loop.create_datagram_endpoint(lambda: Answers(told), remote_addr=(RESOLVER, 53))
    while time.monotonic() < end:
        while told["asked"] < (time.monotonic() - begin) * pace:
            transport.sendto(question(told["asked"]))
            told["asked"] += 1
        await asyncio.sleep(0.02)
    await asyncio.sleep(1)
    transport.close()


async def connect(told, end, pace, data):
    begin = time.monotonic()
    while time.monotonic() < end:
        told["connects"] += 1
        writer = None
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection(CLOUD, 443), 5)
            writer.write(data)
            await asyncio.wait_for(reader.read(1), 5)
        except ConnectionResetError:
            told["reset"] += 1
        except OSError as error:
            told["errors"].append(repr(error))
        finally:
            if writer:
                writer.close()
        await asyncio.sleep(begin + told["connects"] / pace - time.monotonic())


async def main(seconds, questions, hellos):
    told = {"asked": 0, "answered": 0, "connects": 0, "reset": 0, "errors": []}
    end = time.monotonic() + seconds
    await asyncio.gather(ask(told, end, questions), connect(told, end, hellos, hello()))
    print(json.dumps(told))


asyncio.run(main(*map(float, sys.argv[1:])))
