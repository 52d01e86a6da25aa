"""Speaks with an echo server through the Python package websockets, and prints "ok"."""
import asyncio
import sys

import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

url, deflate = sys.argv[1:]
extensions = {
    "none": None,
    "plain": [ClientPerMessageDeflateFactory()],
    "small": [ClientPerMessageDeflateFactory(server_max_window_bits=9, client_max_window_bits=9)],
    "alone": [ClientPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)],
}[deflate]
messages = ["", "grüße €", "x" * 125, "y" * 126, "z" * 65536, "json " * 100000, b"", bytes(range(256)) * 1000]


async def main():
    async with websockets.connect(url, compression=None, extensions=extensions, max_size=1 << 25) as ws:
        assert bool(ws.extensions) == (deflate != "none"), ws.extensions
        for m in messages * 3:
            await ws.send(m)
            assert await ws.recv() == m
        await ws.send(["frag", "men", "ted"])
        assert await ws.recv() == "fragmented"
        await (await ws.ping(b"here?"))
        await ws.close(4321, "done")
        assert ws.close_code == 4321, ws.close_code
    print("ok")


asyncio.run(main())
