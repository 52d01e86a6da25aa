"""An echo server on asyncio streams, over TLS if it is given files with a certificate and a key. It prints its port, and
when it is asked to end what it has counted."""
import asyncio, json, signal, ssl, sys

counted = {"connections": 0, "bytes": 0}


async def echo(reader, writer):
    counted["connections"] += 1
    try:
        while data := await reader.read(65536):
            counted["bytes"] += len(data)
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main():
    context = None
    if len(sys.argv) > 1:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[1:])
    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.wait()
    print(json.dumps(counted), flush=True)


asyncio.run(main())
