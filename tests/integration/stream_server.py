"""A scripted server of event streams, for what a healthy replica does not do on demand: disconnect,
repeat itself, reset."""
import http.server
import json
import threading
import time


def instance(id, **fields):
    return {"id": id, "name": "web", "type": "", "host": "10.0.0.1", "port": 80, "tags": [],
            "metadata": {}, "weight": 1, "zone": "", "ttl": 30, "health": "passing", "note": "",
            "registered_at": "2026-01-01T00:00:00.000Z", "incarnation": 1, "index": 1, **fields}


def event(position, id, kind="registered", **fields):
    data = {"id": position, "event": kind, "time": "2026-01-01T00:00:00.000Z",
            "instance": instance(id, **fields)}
    return "id: %s\nevent: %s\ndata: %s\n\n" % (position, kind, json.dumps(data))


def present(id, **fields):
    return "event: present\ndata: %s\n\n" % json.dumps(
        {"event": "present", "instance": instance(id, **fields)})


def synced(position):
    return "id: %s\nevent: synced\ndata: %s\n\n" % (
        position, json.dumps({"index": int(position.split(".")[0])}))


def bookmark(position):
    return "id: %s\n\n" % position


def reset(position, reason="too long ago"):
    return "id: %s\nevent: reset\ndata: %s\n\n" % (
        position, json.dumps({"index": int(position.split(".")[0]), "reason": reason}))


STAY = object()  # at the end of a script: the stream stays open
STAY_AT_MOST_S = 600


class StreamServer:
    """Answers each request in turn with the next script: a list of texts, a status number, or that and what
    it says in Retry-After."""

    def __init__(self, *scripts):
        self.scripts = list(scripts)
        self.requests = []  # (path, Last-Event-ID)
        self.times = []  # of these, monotonic
        self.ending = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.times.append(time.monotonic())
                outer.requests.append((self.path, self.headers.get("Last-Event-ID")))
                script = outer.scripts.pop(0) if outer.scripts else [STAY]
                self.close_connection = True
                script, retry_after = script if isinstance(script, tuple) else (script, None)
                if isinstance(script, int):
                    body = json.dumps({"error": "told", "message": "as told"}).encode()
                    self.send_response(script)
                    self.send_header("Content-Type", "application/json")
                    if retry_after is not None:
                        self.send_header("Retry-After", str(retry_after))
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                for piece in script:
                    if piece is STAY:
                        outer.ending.wait(STAY_AT_MOST_S)
                    else:
                        self.wfile.write(piece.encode())
                        self.wfile.flush()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = "http://127.0.0.1:%d" % self.server.server_port

    def close(self):
        self.ending.set()
        self.server.shutdown()
        self.server.server_close()
