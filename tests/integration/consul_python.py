"""Three instances of a service through python-consul, py-consul or python-consul2 (they have one interface): does as it
is told line by line, and prints what it sees."""
import sys
import threading
import time

import consul


def say(*words):
    print(*words, flush=True)


def main():
    host, port = sys.argv[1].split(":")
    client = consul.Consul(host=host, port=int(port))

    def register(n):
        client.agent.service.register("python", service_id="python-%d" % n, address="127.0.0.1", port=8000 + n,
                                      tags=["v1"], check=consul.Check.ttl("60s"))

    def follow():
        index = None
        own = consul.Consul(host=host, port=int(port))
        while True:
            index, found = own.health.service("python", index=index, wait="30s", passing=True)
            say("passing", len(found))

    def beat():
        for n in range(3):
            assert client.agent.check.ttl_pass("service:python-%d" % n, notes="by the client")

    def look():
        _, services = client.catalog.services()
        _, nodes = client.catalog.nodes()
        _, checks = client.health.checks("python")
        _, state = client.health.state("passing")
        _, service = client.catalog.service("python", tag="v1")
        _, key = client.kv.get("nothing/here")
        say("looked", client.agent.self()["Config"]["Datacenter"], services["python"], len(client.agent.services()),
            len(client.agent.checks()), len(nodes), len(checks), len(state) >= 3, len(service), key,
            ":" in client.status.leader(), len(client.status.peers()), len(client.agent.members()))

    def leave():
        for n in range(3):
            client.agent.service.deregister("python-%d" % n)

    for n in range(3):
        register(n)
    threading.Thread(target=follow, daemon=True).start()
    beat()
    steps = {"look": look, "beat": beat, "again": lambda: register(0), "leave": leave,
             "fail": lambda: client.agent.check.ttl_fail("service:python-0"),
             "maintain": lambda: client.agent.service.maintenance("python-1", "true", "by the client")}
    for line in sys.stdin:
        begun = time.monotonic()
        steps[line.strip()]()
        say("done", line.strip(), int(1000 * (time.monotonic() - begun)))


if __name__ == "__main__":
    main()
