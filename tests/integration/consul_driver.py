"""What the drivers of Consul's clients do, told line by line: each registers three instances, follows them with what
its client has for that, and prints `passing N` whenever that many are."""
import fcntl
import os
import subprocess
import threading

from cluster import ROOT, await_true, clean_environment

DONE_WITHIN_S = 30
INSTALL_WITHIN_S = 120
PYTHON = os.path.join(os.path.dirname(os.path.abspath(__file__)), "consul_python.py")
# What the driver in Python sees of three instances at three replicas.
PYTHON_SEES = "dc1 ['v1'] 3 3 1 3 True 3 None True 3 3"


def install_python(client):
    """The Python that has a client from the package index, installed once below build; None where that is not to be
    had."""
    folder = os.path.join(ROOT, "build", "consul", client)
    os.makedirs(folder, exist_ok=True)
    with open(folder + "/lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(folder + "/complete"):
            subprocess.run(["/usr/bin/python3", "-m", "venv", folder], check=True, timeout=INSTALL_WITHIN_S)
            got = subprocess.run([folder + "/bin/pip", "install", "-q", "--disable-pip-version-check", "--retries",
                                  "1", client], timeout=INSTALL_WITHIN_S, check=False)
            if got.returncode != 0:
                return None
            with open(folder + "/complete", "w", encoding="ascii"):
                pass
    return folder + "/bin/python"


class Driver:
    def __init__(self, command, environment=None):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, encoding="utf-8",
                                        env=clean_environment(environment))
        self.lines = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def last(self, word):
        found = [line for line in list(self.lines) if line.split(" ")[0] == word]
        return found[-1][len(word) + 1:] if found else None

    def tell(self, line):
        before = len(self.lines)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        await_true("%s is done: %r" % (line, self.lines[-5:]),
                   lambda: any(text.startswith("done " + line) for text in self.lines[before:]), DONE_WITHIN_S)

    def await_last(self, word, value, within_s=20):
        await_true("%s %s: %r" % (word, value, self.lines[-5:]), lambda: self.last(word) == value, within_s)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)


def follows_its_service_while_the_leader_dies(cluster, start):
    """`start(address)` is a driver that asks the replica there: a follower, as the client has one address."""
    follower = [r for r in cluster if not r.is_leader()][0]
    with start("127.0.0.1:%d" % follower.consul) as driver:
        driver.await_last("passing", "3")
        driver.tell("look")
        seen = driver.last("looked")
        [r for r in cluster if r.is_leader()][0].kill()
        driver.tell("beat")
        driver.tell("again")
        driver.await_last("passing", "3")
        driver.tell("fail")
        driver.await_last("passing", "2")
        driver.tell("beat")
        driver.await_last("passing", "3")
        driver.tell("maintain")
        driver.await_last("passing", "2")
        driver.tell("leave")
        driver.await_last("passing", "0")
        return seen


def with_consul(cluster, ports):
    for replica, port in zip(cluster, ports):
        replica.consul = port
        replica.environment["MUSTER_CONSUL_HTTP"] = "127.0.0.1:%d" % port
    return cluster
