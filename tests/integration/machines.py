"""Machines: network namespaces with names, each with its own /var. Needs root.

The bridge between them has a namespace, too, so that the machine's own firewall (such as a Docker
engine's) does not affect forwarded frames."""
import os
import shutil
import signal
import subprocess
import tempfile

from cluster import BIN, clean_environment, request

NETWORK = "10.79.%d" % (os.getpid() % 250 + 1)


def run(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, encoding="utf-8", timeout=60)


class Machine:
    def __init__(self, name, number, folder):
        self.name, self.folder = name, folder
        self.address = "%s.%d" % (NETWORK, number)
        self.space = "mst%d-%d" % (os.getpid(), number)
        self.link = "mstv%d-%d" % (os.getpid() % 10000, number)
        self.server = None  # processes on it, until it is stopped
        for place in ("lib", "backups"):
            os.makedirs(os.path.join(folder, place))

    def command(self, script, strict=True):
        """Runs `script` like a user of this machine, up to the first command that fails."""
        # bash execs the last command, so that the process is the replica.
        inside = 'mount --bind "$1" /var && exec bash %s "$2"' % ("-ec" if strict else "-c")
        return ["ip", "netns", "exec", self.space, "unshare", "--mount", "sh", "-ec", inside, "sh",
                self.folder, script.strip()]

    def environment(self):
        return clean_environment({"PATH": BIN + ":" + os.environ["PATH"]})

    def run(self, script, timeout=60, strict=True):
        """Its output. Not strict: ignores the commands' exit statuses."""
        return subprocess.run(self.command(script, strict), check=strict, capture_output=True,
                              timeout=timeout, encoding="utf-8", env=self.environment()).stdout

    def serve(self, script):
        """A command that starts a replica, which keeps running."""
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.server = subprocess.Popen(self.command(script), stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=log, env=self.environment(), start_new_session=True)

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def end(self, number=signal.SIGTERM):
        os.killpg(self.server.pid, number)
        self.server.wait(30)
        self.server = None

    def get(self, path):
        return request(9000, "GET", path, host=self.address, timeout=5)

    def is_ready(self):
        try:
            return self.get("/health/ready").status == 200
        except OSError:
            return False


class Machines:
    """with Machines("a.example", "b.example") as machines: machines["a.example"]..."""

    def __init__(self, *names):
        self.folder = tempfile.mkdtemp(prefix="muster-machines-")
        self.switch = "mst%d-switch" % os.getpid()
        self.host = "msth%d" % (os.getpid() % 10000)
        self.all = [Machine(name, n + 1, os.path.join(self.folder, name))
                    for n, name in enumerate(names)]

    def __enter__(self):
        switch = ("ip", "netns", "exec", self.switch, "ip")
        run("ip", "netns", "add", self.switch)
        run(*switch, "link", "add", "bridge0", "type", "bridge")
        run(*switch, "link", "set", "bridge0", "up")
        run("ip", "link", "add", self.host, "type", "veth", "peer", "name", "host", "netns", self.switch)
        run("ip", "address", "add", NETWORK + ".254/24", "dev", self.host)
        run("ip", "link", "set", self.host, "up")
        run(*switch, "link", "set", "host", "master", "bridge0", "up")
        hosts = "127.0.0.1 localhost\n" + "".join("%s %s\n" % (m.address, m.name) for m in self.all)
        for m in self.all:
            run("ip", "netns", "add", m.space)
            os.makedirs("/etc/netns/" + m.space)
            with open("/etc/netns/%s/hosts" % m.space, "w", encoding="ascii") as file:
                file.write(hosts)
            run(*switch, "link", "add", m.link, "type", "veth", "peer", "name", "eth0", "netns", m.space)
            run(*switch, "link", "set", m.link, "master", "bridge0", "up")
            inside = ("ip", "netns", "exec", m.space, "ip")
            run(*inside, "link", "set", "lo", "up")
            run(*inside, "address", "add", m.address + "/24", "dev", "eth0")
            run(*inside, "link", "set", "eth0", "up")
        return self

    def __exit__(self, kind, *_):
        for m in self.all:
            if m.server is not None:
                m.end(signal.SIGKILL)
            if kind is not None and os.path.exists(os.path.join(m.folder, "log")):
                print("--- log of %s\n%s" % (m.name, m.log()[-4000:]))
            run("ip", "netns", "del", m.space, check=False)
            shutil.rmtree("/etc/netns/" + m.space, ignore_errors=True)
        run("ip", "link", "del", self.host, check=False)
        run("ip", "netns", "del", self.switch, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __getitem__(self, name):
        return next(m for m in self.all if m.name == name)
