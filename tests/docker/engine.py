"""A Docker engine for the tests: a running one, or one of the tests' own; and images in place of a
registry's if none can be reached. Standard library only.

    tests/docker/engine.py COMMAND...      runs it with an engine and the image muster-test:RELEASE
"""
import base64
import glob
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.path.join(ROOT, "build", "docker")
START_WITHIN_S = 60
PULL_WITHIN_S = 600
RUN_WITHIN_S = 24 * 3600  # the command is jepsen, which has a limit of its own
# Must match docker/compose.yml.
PROMETHEUS = "prom/prometheus:v2.53.2"


def run(*command, check=True, timeout=1800, **options):
    """Runs a program; returns its output, or fails with the last part of it."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
                          timeout=timeout, **options)
    if check and done.returncode != 0:
        raise AssertionError("%s: exit status %d\n%s" % (" ".join(command), done.returncode,
                                                         done.stdout[-4000:]))
    return done.stdout


def succeeds(*command):
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          timeout=PULL_WITHIN_S, check=False).returncode == 0


class Engine:
    """Uses a running engine; if there is none, starts one with folders of its own, and ends it."""

    def __init__(self):
        self.process = None

    def start(self):
        if succeeds("docker", "info"):
            return self
        folder = os.path.join(CACHE, "engine")
        os.makedirs(folder, exist_ok=True)
        socket = "unix://%s/docker.sock" % folder
        with open(os.path.join(folder, "dockerd.log"), "ab") as log:
            self.process = subprocess.Popen(
                ["dockerd", "--host", socket, "--data-root", folder + "/data",
                 "--exec-root", folder + "/run", "--pidfile", folder + "/dockerd.pid"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        os.environ["DOCKER_HOST"] = socket
        deadline = time.monotonic() + START_WITHIN_S
        while not succeeds("docker", "info"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("no Docker engine; see %s/dockerd.log" % folder)
            time.sleep(0.2)
        return self

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            mounted = os.path.join(CACHE, "engine", "run", "netns", "default")
            if os.path.ismount(mounted):
                run("umount", mounted)  # it leaves it behind
            os.environ.pop("DOCKER_HOST", None)


def has_image(name):
    return succeeds("docker", "image", "inspect", name)


def debian_sources():
    """The machine's own apt files for Debian itself: name -> path."""
    found = {}
    paths = glob.glob("/etc/apt/sources.list.d/*.sources") + ["/etc/apt/sources.list"] + \
        glob.glob("/etc/apt/sources.list.d/*.list")
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except FileNotFoundError:
            continue
        if re.search(r"/debian(-security)?/?\s", text) and "muster" not in os.path.basename(path):
            found[os.path.basename(path)] = text
    return found


def mirror():
    """The address from which this machine installs Debian."""
    for text in debian_sources().values():
        address = re.search(r"\bhttps?://\S*/debian/?(?=\s)", text)
        if address:
            return address.group()
    raise AssertionError("no apt source for Debian on this machine")


def make_base_image(release):
    """debian:RELEASE-slim: from its registry, or built from the machine's own mirror."""
    name = "debian:%s-slim" % release
    if has_image(name) or succeeds("docker", "pull", "-q", name):
        return
    folder = os.path.join(CACHE, "base-" + release)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(CACHE, exist_ok=True)
    run("debootstrap", "--variant=minbase", release, folder, mirror())
    # The same suites as the machine's, under this release's name, like the registry's image.
    own = re.search(r"^VERSION_CODENAME=(\S+)", open("/etc/os-release", encoding="utf-8").read(), re.MULTILINE)
    os.remove(folder + "/etc/apt/sources.list")
    for file, text in debian_sources().items():
        target = "sources.list" if file == "sources.list" else "sources.list.d/" + file
        with open(os.path.join(folder, "etc/apt", target), "w", encoding="utf-8") as out:
            out.write(text.replace(own.group(1), release))
    for path in glob.glob("/etc/apt/apt.conf.d/*proxy*"):
        shutil.copy(path, os.path.join(folder, "etc/apt/apt.conf.d"))
    run("sh", "-c", "rm -rf %s/var/cache/apt/* %s/var/lib/apt/lists/*; tar -C %s -c . | docker import - %s"
        % (folder, folder, folder, name))
    shutil.rmtree(folder)


# Debian builds Prometheus without the discovery of Consul, and such a one refuses the whole file: this job is left out.
# tests/clients/test_consul_sd.py has it, by Prometheus' own code.
PROMETHEUS_OF_DEBIAN = r"""#!/bin/sh
set -e
mkdir -p /tmp/muster
cp /etc/muster/alerts.yml /tmp/muster
awk '/^  - /{drop = $3 == "consul"} !drop' /etc/muster/prometheus.yml >/tmp/muster/prometheus.yml
shift
exec prometheus --config.file=/tmp/muster/prometheus.yml "$@"
"""


def make_prometheus_image(release):
    """Prometheus from its registry, or Debian's own under that name, as an earlier run may have left it."""
    ours = succeeds("sh", "-c", "docker image inspect %s | grep -q muster.stands-in" % PROMETHEUS)
    if not ours and (has_image(PROMETHEUS) or succeeds("docker", "pull", "-q", PROMETHEUS)):
        return
    script = base64.b64encode(PROMETHEUS_OF_DEBIAN.encode()).decode()
    recipe = ("FROM debian:%s-slim\nLABEL muster.stands-in=prometheus\n"
              "RUN apt-get update && apt-get install -y --no-install-recommends prometheus\n"
              "RUN install -d -o nobody /prometheus && echo %s | base64 -d >/start && chmod 755 /start\n"
              "USER nobody\nENTRYPOINT [\"/start\"]\n" % (release, script))
    run("docker", "build", "--network", "host", "-t", PROMETHEUS, "-", input=recipe)


def build_image(release):
    """Builds the image as in docker/README.md; the build may use the machine's network."""
    make_base_image(release)
    name = "muster-test:" + release
    run("docker", "build", "--network", "host", "-t", name, "-f", "docker/Dockerfile",
        "--build-arg", "DEBIAN=" + release, ".", cwd=ROOT)
    return name


def compose_command():
    """Compose 2 if it is there, else 1."""
    if succeeds("docker", "compose", "version"):
        return ["docker", "compose"]
    return ["docker-compose"]


def main():
    engine = Engine().start()
    try:
        build_image(os.environ.get("DEBIAN", "bookworm"))
        return subprocess.run(sys.argv[1:], timeout=RUN_WITHIN_S, check=False).returncode
    finally:
        engine.stop()


if __name__ == "__main__":
    sys.exit(main())
