"""The older registry's own server, with its defaults, on the loopback. Run with the Python that has cgse-core.

    cgse_server.py sqlite|memory REQUESTS EVENTS HEARTBEATS      ports; the file of SQLite in the current folder"""
import asyncio
import logging
import os
import sys

os.environ.update(PROJECT="TEST", SITE_ID="LAB")

import zmq.asyncio  # noqa: E402
from egse.registry.backend import AsyncInMemoryBackend, AsyncSQLiteBackend  # noqa: E402
from egse.registry.server import AsyncRegistryServer  # noqa: E402

logging.disable(logging.INFO)
bind = zmq.asyncio.Socket.bind
# It binds to every address, without a choice.
zmq.asyncio.Socket.bind = lambda self, address: bind(self, address.replace("*", "127.0.0.1"))


async def main(kind, requests, events, heartbeats):
    backend = AsyncSQLiteBackend("registry.db") if kind == "sqlite" else AsyncInMemoryBackend()
    await AsyncRegistryServer(requests, events, heartbeats, backend).start()


asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
