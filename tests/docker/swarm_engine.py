"""A Docker daemon of the tests' own, in swarm mode on loopback, with an image of busybox; nothing is
looked up outside. Skips, with a sentence, where the kernel does not let it run."""
import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from cluster import await_true

BUSYBOX = "/bin/busybox"
IMAGE = "muster-busybox"
START_WITHIN_S = 60


class SwarmEngine:
    def __init__(self, folder):
        for program in ("dockerd", "docker", "containerd", "runc"):
            if not shutil.which(program):
                pytest.skip("there is no %s here (server/prepare.sh docker)" % program)
        if not os.access(BUSYBOX, os.X_OK) or os.geteuid() != 0:
            pytest.skip("needs root, and busybox-static")
        self.folder = folder
        self.socket = os.path.join(folder, "docker.sock")
        self.url = "unix://" + self.socket
        self.environment = {"PATH": os.environ["PATH"], "HOME": folder, "DOCKER_HOST": self.url,
                            "DOCKER_SERVICE_PREFER_OFFLINE_IMAGE": "1"}
        self.process = None

    # --- life ---

    def begin(self):
        with open(os.path.join(self.folder, "dockerd.log"), "ab") as log:
            self.process = subprocess.Popen(
                ["dockerd", "--host", self.url, "--data-root", self.folder + "/data",
                 "--exec-root", self.folder + "/run", "--pidfile", self.folder + "/dockerd.pid",
                 "--bridge", "none", "--shutdown-timeout", "1"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def start(self):
        self.begin()
        try:
            await_true("the daemon answers", self.answers, START_WITHIN_S, 0.2)
        except AssertionError:
            with open(os.path.join(self.folder, "dockerd.log"), encoding="utf-8") as log:
                pytest.skip("dockerd does not run here: " + log.read()[-300:])
        return self

    def answers(self):
        return self.process.poll() is None and self.succeeds("info")

    def init(self, port):
        if not self.succeeds("swarm", "init", "--advertise-addr", "127.0.0.1",
                             "--listen-addr", "127.0.0.1:%d" % port):
            pytest.skip("this kernel has no networks for a swarm")
        root = os.path.join(self.folder, "image")
        os.makedirs(root + "/bin")
        shutil.copy(BUSYBOX, root + "/bin/busybox")
        os.symlink("busybox", root + "/bin/sh")
        subprocess.run("tar -C %s -c . | docker import - %s" % (root, IMAGE), shell=True, check=True,
                       env=self.environment, stdout=subprocess.DEVNULL, timeout=120)
        return self

    def kill(self):
        """kill -9 of the daemon and its containerd; containers are cleaned up at the next start."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)

    def pause(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.succeeds("swarm", "leave", "--force")
        time.sleep(1)
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(60)
        subprocess.run(["ip", "link", "del", "docker_gwbridge"], check=False, capture_output=True,
                       timeout=30)
        with open("/proc/mounts", encoding="utf-8") as mounts:
            mounted = [line.split()[1] for line in mounts if line.split()[1].startswith(self.folder)]
        for path in sorted(mounted, reverse=True):
            subprocess.run(["umount", "-l", path], check=False, capture_output=True, timeout=30)

    # --- commands ---

    def succeeds(self, *arguments):
        return subprocess.run(["docker", *arguments], env=self.environment, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=60, check=False).returncode == 0

    def run(self, *arguments):
        done = subprocess.run(["docker", *arguments], env=self.environment, capture_output=True,
                              encoding="utf-8", timeout=120, check=False)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def create(self, name, replicas, *options, command="sleep 100000"):
        """Containers end as soon as they are asked to."""
        script = "trap 'exit 0' TERM; %s & wait" % command.replace("sleep", "/bin/busybox sleep")
        self.run("service", "create", "--no-resolve-image", "-d", "--name", name, "--replicas", str(replicas),
                 *options, IMAGE, "/bin/sh", "-c", script)

    def update(self, name, *options):
        self.run("service", "update", "--no-resolve-image", "-d", *options, name)

    def running(self, *services):
        """The ids of tasks that run and are wanted to."""
        ids = self.run("service", "ps", "--no-trunc", "-q", "-f", "desired-state=running", *services).split()
        if not ids:
            return set()
        tasks = json.loads(self.run("inspect", *ids))
        return {t["ID"] for t in tasks if t["Status"]["State"] == "running" and t["DesiredState"] == "running"}
