"""Real proxies that find servers by DNS, and the servers: small HTTP programs that say who they are."""
import contextlib
import http.server
import os
import shutil
import subprocess
import threading

from cluster import await_true, clean_environment, request
from ports import free_ports

HAPROXY = """
global
    maxconn 100
defaults
    mode http
    timeout connect 2s
    timeout client 5s
    timeout server 5s
resolvers muster
%(nameservers)s
    accepted_payload_size 4096
    resolve_retries 2
    timeout resolve 200ms
    timeout retry 200ms
    hold valid 200ms
    hold nx 200ms
    hold obsolete 0s
    hold timeout 5s
    hold refused 5s
frontend in
    bind 127.0.0.1:%(port)d
    default_backend web
backend web
    balance roundrobin
    option redispatch
    server-template web 5 _web._tcp.service.consul resolvers muster resolve-prefer ipv4 resolve-opts allow-dup-ip init-addr none check inter 200ms
"""
# nginx keeps an answer for `valid`, and knows no SRV: the port is the same for all.
NGINX = """
daemon off;
master_process off;
pid %(folder)s/pid;
error_log stderr;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path %(folder)s/body;
    proxy_temp_path %(folder)s/proxy;
    fastcgi_temp_path %(folder)s/fastcgi;
    uwsgi_temp_path %(folder)s/uwsgi;
    scgi_temp_path %(folder)s/scgi;
    resolver %(nameservers)s valid=1s ipv6=off;
    resolver_timeout 5s;
    server {
        listen 127.0.0.1:%(port)d;
        location / {
            set $service web.service.consul;
            proxy_connect_timeout 2s;
            proxy_pass http://$service:%(target_port)d;
        }
    }
}
"""


class Program(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("answer 42\n" if self.path == "/metrics" else
                "%s:%d" % self.server.server_address).encode("ascii")
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def programs(addresses):
    """A program at each address; yields what each says of itself."""
    servers, threads = [], []
    try:
        for address in addresses:
            servers.append(http.server.ThreadingHTTPServer(address, Program))
            threads.append(threading.Thread(target=servers[-1].serve_forever, daemon=True))
            threads[-1].start()
        yield ["%s:%d" % server.server_address for server in servers]
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join(10)


class Proxy:
    """One in the foreground, with its files in a folder of its own."""

    def __init__(self, folder, text, command, **values):
        [self.port] = free_ports(1)
        self.log_path = os.path.join(folder, "log")
        path = os.path.join(folder, "conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(text % dict(values, folder=folder, port=self.port))
        self.command = [part.replace("CONF", path) for part in command]
        self.process = None

    def __enter__(self):
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, env=clean_environment())
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)

    def who(self):
        """Who answers; None: nobody."""
        try:
            got = request(self.port, "GET", "/", timeout=10)
        except OSError:
            return None
        return got.body.decode("ascii") if got.status == 200 else None

    def await_answers_of(self, expected, within_s=30):
        """Until 20 requests in a row were answered by these, all of them, and nobody else."""
        def seen():
            return {self.who() for _ in range(20)} == set(expected)
        await_true("answers of %s" % sorted(expected), seen, within_s, 0.2)


def haproxy(folder, replicas):
    lines = "\n".join("    nameserver r%d 127.0.0.1:%d" % (r.id, r.dns) for r in replicas)
    program = shutil.which("haproxy", path="/usr/sbin:" + os.environ.get("PATH", ""))
    return Proxy(str(folder), HAPROXY, [program, "-db", "-f", "CONF"], nameservers=lines)


def nginx(folder, replicas, target_port):
    program = shutil.which("nginx", path="/usr/sbin:" + os.environ.get("PATH", ""))
    return Proxy(str(folder), NGINX, [program, "-e", "stderr", "-c", "CONF"], target_port=target_port,
                 nameservers=" ".join("127.0.0.1:%d" % r.dns for r in replicas))


def register_at(replica, address):
    """Registers the program at host:port, and returns its id."""
    host, port = address.rsplit(":", 1)
    replica.register("web", "web-" + address.replace(":", "-"), host=host, port=int(port), ttl=3600)
    return "web-" + address.replace(":", "-")
