"""The names of a registry as a zone in a file, and other DNS servers that serve it."""
import os
import shutil

PROGRAMS = {"knot": "knotd", "nsd": "nsd"}

KNOT = """
server:
    listen: 127.0.0.1@%(port)d
    rundir: %(folder)s
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: %(folder)s/db
zone:
  - domain: consul
    file: %(folder)s/zone
"""
NSD = """
server:
    ip-address: 127.0.0.1@%(port)d
    server-count: 1
    pidfile: ""
    username: ""
    database: ""
    rrl-ratelimit: 0
    xfrdfile: %(folder)s/xfrd
    zonelistfile: %(folder)s/list
remote-control:
    control-enable: no
zone:
    name: consul
    zonefile: %(folder)s/zone
"""


def installed():
    return [name for name, program in PROGRAMS.items() if shutil.which(program)]


def address(service, instance):
    return "10.%d.%d.%d" % (service // 256, service % 256, instance)


def write_zone(path, services, instances):
    with open(path, "w", encoding="ascii") as file:
        file.write("$ORIGIN consul.\n@ 0 SOA ns hostmaster 1 3600 600 86400 0\n@ 0 NS ns\nns 0 A 127.0.0.1\n")
        for service in range(services):
            for instance in range(instances):
                host = address(service, instance)
                name = "%02x%02x%02x%02x.addr.dc1" % tuple(int(part) for part in host.split("."))
                file.write("s%d.service 0 A %s\ns%d.service 0 SRV 1 1 8080 %s\n%s 0 A %s\n" % (
                    service, host, service, name, name, host))


def server(name, folder, port, services, instances):
    """Its command, with its files in the folder."""
    write_zone(os.path.join(folder, "zone"), services, instances)
    path = os.path.join(folder, "conf")
    with open(path, "w", encoding="ascii") as file:
        file.write((KNOT if name == "knot" else NSD) % {"folder": folder, "port": port})
    program = shutil.which(PROGRAMS[name])
    return [program, "-c", path] if name == "knot" else [program, "-d", "-c", path]
