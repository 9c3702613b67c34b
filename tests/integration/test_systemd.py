"""The unit for systemd: it is valid, it is tight, and musterd can do its work within it."""
import configparser
import os
import re
import shutil
import signal
import subprocess

import pytest

from cluster import BIN, MUSTERD, ROOT, STOP_WITHIN_S, await_true, clean_environment, sanitized

EXPOSURE_MAX = 2.0  # of 10, as systemd-analyze counts it
CREDENTIALS = {"tls-cert": "MUSTER_TLS_CERT", "tls-key": "MUSTER_TLS_KEY",
               "cluster-secret": "MUSTER_CLUSTER_SECRET_FILE", "bootstrap-token": "MUSTER_BOOTSTRAP_TOKEN_FILE"}

needs_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, encoding="utf-8", timeout=60,
                          check=False, env=clean_environment())


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


@pytest.fixture
def unit(tmp_path):
    """With a program and a user that there are, so that nothing but the unit can be wrong."""
    text = text_of(os.path.join(BIN, "musterd.service"))
    assert "@" not in re.sub(r"@(system-service|privileged)", "", text)
    text = re.sub(r"(?<=^ExecStart=)\S+", MUSTERD, text, flags=re.MULTILINE)
    text = re.sub("^(User|Group)=.*", r"\1=root", text, flags=re.MULTILINE)
    path = tmp_path / "musterd.service"
    path.write_text(text, encoding="utf-8")
    folder = tmp_path / "musterd.service.d"
    folder.mkdir()
    shutil.copy(os.path.join(ROOT, "server", "musterd-secure.conf"), folder / "secure.conf")
    return str(path)


@needs_analyze
def test_the_unit_is_valid(unit):
    done = analyze("verify", "--man=no", unit)
    own = [line for line in done.stderr.splitlines() if "musterd" in line or "secure.conf" in line]
    assert done.returncode == 0 and own == [], done


@needs_analyze
def test_the_unit_leaves_little_to_do_for_who_takes_musterd_over(unit):
    done = analyze("security", "--offline=true", "--no-pager", "--threshold=%d" % (EXPOSURE_MAX * 10), unit)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def test_each_credential_is_given_to_the_option_that_reads_it():
    text = text_of(os.path.join(ROOT, "server", "musterd-secure.conf"))
    loaded = dict(re.findall(r"^LoadCredential=([^:\n]+):(\S+)$", text, re.MULTILINE))
    named = dict(re.findall(r"^Environment=(\w+)=%d/(\S+)$", text, re.MULTILINE))
    assert set(loaded) == set(CREDENTIALS)
    assert named == {variable: name for name, variable in CREDENTIALS.items()}
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(text)
    assert parser.sections() == ["Service"]
    for variable in named:
        assert '"%s"' % variable in text_of(os.path.join(ROOT, "server", "config.def"))


def allowed_calls(text):
    """The system calls that the unit's filter lets through, by systemd's own groups."""
    def members(group):
        found = set()
        for line in analyze("syscall-filter", group).stdout.splitlines()[1:]:
            word = line.strip()
            if word.startswith("@"):
                found |= members(word)
            elif word and not word.startswith("#"):
                found.add(word)
        return found
    allowed = set()
    for words in re.findall(r"^SystemCallFilter=(.*)$", text, re.MULTILINE):
        for word in words.lstrip("~").split():
            calls = members(word) if word.startswith("@") else {word}
            allowed = allowed - calls if words.startswith("~") else allowed | calls
    assert len(allowed) > 100
    return allowed


@needs_analyze
@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace here")
@pytest.mark.skipif(sanitized(), reason="a sanitizer makes calls of its own")
def test_musterd_makes_no_call_that_the_unit_forbids(make_cluster, unit, tmp_path):
    calls = tmp_path / "calls"
    cluster = make_cluster(1)
    replica = cluster[0]
    process = subprocess.Popen(["strace", "-f", "-qq", "-o", str(calls), *replica.command()],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=clean_environment({"MUSTER_SNAPSHOT_LOG_BYTES": "64KiB"}))
    try:
        await_true("it is ready", replica.is_ready, 60)
        for n in range(300):
            replica.register("web", "web-%d" % n, metadata={"pad": "x" * 500})
        assert replica.get("/backup").status == 200
        assert replica.get("/services/web").status == 200
        await_true("a snapshot", lambda: replica.metric("snapshots_taken_total") >= 1, 60)
        pid = int(re.search(r"^(\d+)", text_of(calls)).group(1))
        os.kill(pid, signal.SIGTERM)
        assert process.wait(STOP_WITHIN_S) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(30)
    made = set(re.findall(r"^\d+ +(\w+)\(", text_of(calls), re.MULTILINE))
    # The dynamic loader's, before the filter can matter to musterd itself; systemd lets it through.
    forbidden = made - allowed_calls(text_of(unit)) - {"execve", "arch_prctl"}
    assert "pwritev2" in made or "pwrite64" in made or "pwritev" in made, made
    assert forbidden == set(), forbidden
