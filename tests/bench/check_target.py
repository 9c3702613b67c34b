"""What active checks are run against: a server of HTTP/1.1 that does as little as it can, on a port
each, in a process of its own.

    check_target.py PORTS     prints the ports, and serves until its input ends
"""
import asyncio
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
LAST = ANSWER.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")


class Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        # Requests come in one piece.
        if data.startswith(b"GET /close "):
            self.transport.write(LAST)
            self.transport.close()
        else:
            self.transport.write(ANSWER)


async def main(count):
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Server, "127.0.0.1", 0, backlog=1024) for _ in range(count)]
    print(*[s.sockets[0].getsockname()[1] for s in servers], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
