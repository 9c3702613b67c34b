"""Servers that active checks are run against: they answer as they are told by path, and remember who
asked, how, and on how many connections."""
import contextlib
import socket
import socketserver
import ssl
import threading
import time
from concurrent import futures

import grpc


def ok(body=b"fine", *lines):
    return answer(200, body, *lines)


def answer(status, body=b"", *lines):
    head = ["HTTP/1.1 %d Words" % status, "Content-Length: %d" % len(body), *lines]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class Asked:
    """A request, as it came."""

    def __init__(self, head, body, connection):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, self.version = lines[0].split(" ")
        self.headers = [tuple(line.split(": ", 1)) for line in lines[1:]]
        self.body = body
        self.connection = connection
        self.at = time.monotonic()

    def header(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Web:
    """HTTP/1.1 by hand: `paths` maps a path to the bytes that answer it, or to a function of the socket
    that sends them. Anything else is fine."""

    def __init__(self, paths=None, certificate=None):
        self.paths = dict(paths or {})
        self.asked = []
        self.connections = 0
        self.under_way = self.most_under_way = 0
        self.lock = threading.Lock()
        tls = None
        if certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(*certificate)
        web = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with contextlib.suppress(OSError, ValueError):
                    stream = tls.wrap_socket(self.request, server_side=True) if tls else self.request
                    web.serve(stream)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 256
        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def serve(self, stream):
        with self.lock:
            self.connections += 1
            number = self.connections
        stream.settimeout(30)
        buffer = b""
        while True:
            while b"\r\n\r\n" not in buffer:
                got = stream.recv(65536)
                if not got:
                    return
                buffer += got
            head, buffer = buffer.split(b"\r\n\r\n", 1)
            asked = Asked(head, b"", number)
            length = int((asked.header("Content-Length") or ["0"])[0])
            while len(buffer) < length:
                buffer += stream.recv(65536)
            asked.body, buffer = buffer[:length], buffer[length:]
            with self.lock:
                self.asked.append(asked)
                self.under_way += 1
                self.most_under_way = max(self.most_under_way, self.under_way)
            try:
                reply = self.paths.get(asked.path, ok())
                if callable(reply):
                    reply(stream)
                    return
                stream.sendall(reply)
            finally:
                with self.lock:
                    self.under_way -= 1

    def count(self, path):
        return sum(asked.path == path for asked in list(self.asked))

    def at(self, path=""):
        return "http://127.0.0.1:%d%s" % (self.port, path)


@contextlib.contextmanager
def blackhole():
    """A port that answers no SYN: its backlog is full."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            s = stack.enter_context(socket.socket())
            s.setblocking(False)
            s.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@contextlib.contextmanager
def grpc_health(statuses=None, credentials=None):
    """grpc.health.v1 with the status of each service (1: SERVING), None: without it. Yields the port."""
    def check(request, context):
        service = request[2:].decode()  # field 1, shorter than 128
        if service not in statuses:
            context.abort(grpc.StatusCode.NOT_FOUND, "which?")
        return bytes([8, statuses[service]])
    server = grpc.server(futures.ThreadPoolExecutor(4))
    if statuses is not None:
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
            "grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(check)}),))
    port = (server.add_secure_port("127.0.0.1:0", credentials) if credentials is not None
            else server.add_insecure_port("127.0.0.1:0"))
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait(timeout=10)
