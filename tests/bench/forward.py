"""
Lets hosts of another network reach servers that listen on loopback and on sockets alone.

`python -m tests.bench.forward ADDRESS PORT=TARGET …`: each target is the path of a socket, or a port of loopback.
"""

import asyncio
import sys
from contextlib import suppress
from functools import partial


async def _forward(address: str, routes: list[tuple[int, str]]) -> None:
    servers = [await asyncio.start_server(partial(_join, target), address, port) for port, target in routes]
    await asyncio.gather(*(server.serve_forever() for server in servers))


async def _join(target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if target.isdigit():
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", int(target))
    else:
        there_reader, there_writer = await asyncio.open_unix_connection(target)
    await asyncio.gather(_pour(reader, there_writer), _pour(there_reader, writer))


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    sink.close()


if __name__ == "__main__":
    given = [argument.partition("=") for argument in sys.argv[2:]]
    asyncio.run(_forward(sys.argv[1], [(int(port), target) for port, _, target in given]))
