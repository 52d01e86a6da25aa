"""An echo server on the Python package websockets. Prints its port."""
import asyncio
import sys

import websockets
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

extensions = {
    "none": None,
    "plain": [ServerPerMessageDeflateFactory()],
    "takeover": [ServerPerMessageDeflateFactory(client_max_window_bits=12)],
}[sys.argv[1]]


async def echo(ws):
    async for m in ws:
        if m == "close me":
            await ws.close(4002, "as you wish")
            return
        elif m == "ping me":
            waiter = await ws.ping(b"you?")
            asyncio.ensure_future(answer(ws, waiter))
        else:
            await ws.send(m)


async def answer(ws, waiter):
    await waiter
    await ws.send("pong you?")


async def main():
    async with websockets.serve(echo, "127.0.0.1", 0, compression=None, extensions=extensions, max_size=1 << 25,
                                subprotocols=["chat"]) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main())
