"""Like the programs of the older HTTP registry on port 9000: a server that registers and renews
itself, and a client that looks servers up. Both have several replicas and try them in random
order; both treat any status from 400 on as a failure of that replica."""
import random
import re

from cluster import request

TIMEOUT_S = 5
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?")


class Failed(Exception):
    pass


def ask(replicas, method, path, body=None):
    """The first successful answer from any of them."""
    order = list(replicas)
    random.shuffle(order)
    errors = []
    for replica in order:
        try:
            got = request(replica.http_port, method, path, body, {
                "Accept": "*/*", "Authorization": "Bearer something"}, TIMEOUT_S)
        except OSError as error:
            errors.append(error)
            continue
        if got.status < 400:
            return got
        errors.append(got)
    raise Failed(errors)


class Server:
    def __init__(self, replicas, server_id, url="node-1", port=8000, ip="10.0.0.1"):
        self.replicas = replicas
        self.server_id = server_id
        self.body = {"server_id": server_id, "url": url, "port": port, "ip": ip}
        self.registered = False
        self.failed = []  # errors that no other replica made up for

    def register(self):
        try:
            ask(self.replicas, "POST", "/register", self.body)
            self.registered = True
        except Failed as error:
            self.failed.append(error)

    def turn(self):
        """One turn of its loop: after any failure it registers again."""
        if not self.registered:
            self.register()
            return
        try:
            ask(self.replicas, "POST", "/heartbeat", {"server_id": self.server_id})
        except Failed as error:
            self.failed.append(error)
            self.registered = False
            self.register()


class Client:
    def __init__(self, replicas):
        self.replicas = replicas

    def active(self):
        return ask(self.replicas, "GET", "/servers/active").json

    def all(self):
        return ask(self.replicas, "GET", "/servers").json

    def url(self, strategy="random"):
        found = self.active()
        if not found:
            return None
        return (random.choice(found) if strategy == "random" else found[0])["url"]

    def namenodes(self):
        return [s["url"] for s in self.active() if "namenode" in s["server_id"]]
