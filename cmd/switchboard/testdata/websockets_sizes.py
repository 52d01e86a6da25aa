"""Sends an echo server what sections 2 and 9 to 13 of the Autobahn test suite send, and prints "ok". With "all" as the second
argument it sends a thousand messages of each size in sections 12 and 13, as the suite does, else a few."""
import asyncio
import json
import random
import sys

import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

url, count = sys.argv[1], 1000 if sys.argv[2:] == ["all"] else 3
MB = 1 << 20

# (size, fragment); 0: not fragmented
sizes = [(n, 0) for n in (16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072)]
sizes += [(n, 256) for n in (8192, 16384, 32768, 65536, 131072)] + [(131072, n) for n in (1024, 4096, 32768)]

# (server_no_context_takeover, server_max_window_bits) that a client asks for, in the order of its offers
offers = [[(False, None)], [(True, None)], [(False, 9)], [(False, 15)], [(True, 9)], [(True, 15)],
          [(True, 9), (True, None), (False, None)]]


def cut(message, fragment):
    if fragment == 0 or len(message) <= fragment:
        return message
    return [message[i:i + fragment] for i in range(0, len(message), fragment)]


async def echoes(ws, message, fragment=0):
    await ws.send(cut(message, fragment))
    answer = await ws.recv()
    assert type(answer) is type(message) and answer == message, (len(message), len(answer))


def extensions(offer):
    return [ClientPerMessageDeflateFactory(server_no_context_takeover=alone, server_max_window_bits=bits, client_max_window_bits=True)
            for alone, bits in offer]


def connect(offer=()):
    return websockets.connect(url, compression=None, extensions=extensions(offer), max_size=32 * MB, max_queue=None, ping_interval=None)


async def main():
    async with connect() as ws:
        for waiter in [await ws.ping("payload-%d" % i) for i in range(10)]:  # 2.10
            await waiter
        for kind in ("*", b"\xfe"):
            for size in (65536, MB // 4, MB, 4 * MB, 8 * MB, 16 * MB):  # 9.1, 9.2
                await echoes(ws, kind * size)
            for fragment in (64, 256, 1024, 4096, 16384, 65536, MB // 4, MB, 4 * MB):  # 9.3, 9.4
                await echoes(ws, kind * (4 * MB), fragment)
            for size in (0, 16, 64, 256, 1024, 4096):  # 9.7, 9.8
                for _ in range(count):
                    await echoes(ws, kind * size)
        await echoes(ws, "*" * 65536, 1300)  # 10.1
    source = random.Random(1)
    noise = source.randbytes(131072)
    words = json.dumps([{"id": i, "name": "grüße %x" % source.getrandbits(60)} for i in range(4000)])
    for offer in [offers[0]] + offers:  # 12, 13
        for size, fragment in sizes:
            async with connect(offer) as ws:
                assert ws.extensions, "no compression"
                for i in range(count):
                    await echoes(ws, words[:size] if i % 2 else noise[:size], fragment)
    print("ok")


asyncio.run(main())
