"""tests/bench: a run ends by itself, reports its figures, and leaves nothing behind."""
import json
import os
import signal
import subprocess
import sys

import pytest

from cluster import BIN, MUSTERD, ROOT, await_true, clean_environment


def start(folder, *arguments):
    return subprocess.Popen(
        [sys.executable, os.path.join(ROOT, "tests", "bench", "bench.py"), "--folder", str(folder),
         *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        env=clean_environment({"MUSTER_BIN": BIN, "PYTHONDONTWRITEBYTECODE": "1"}))


def processes_of(folder):
    """Commands that run with something of the folder among their arguments."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as file:
                command = file.read().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command and "bench.py" not in command:
            found.append(command)
    return found


@pytest.mark.timeout(240)  # the run itself has two minutes
def test_a_case_prints_a_table_and_saves_its_figures(tmp_path):
    run = start(tmp_path, "--only", "register_1", "--rounds", "2", "--seconds", "1")
    out, progress = run.communicate(timeout=120)
    assert run.returncode == 0, progress
    assert "| variant |" in out and "(register_1)" in out, out
    saved = [name for name in os.listdir(tmp_path) if name.endswith(".json")]
    assert len(saved) == 1 == len(os.listdir(tmp_path)), "results alone are left"
    with open(tmp_path / saved[0], encoding="utf-8") as file:
        got = json.load(file)
    figures = got["cases"]["register_1"]["variants"]["muster"]
    assert got["rounds"] == 2 and got["machine"]["cores"] > 0
    assert 0 < figures["per_second"]["min"] <= figures["per_second"]["median"]
    assert figures["server_cpu_us"]["median"] > 0 and figures["failed"]["max"] == 0
    assert processes_of(tmp_path) == []


@pytest.mark.timeout(240)  # the run itself has two minutes
def test_builds_are_measured_in_turn_and_stand_side_by_side(tmp_path):
    other = tmp_path / "another"
    other.symlink_to(MUSTERD)
    run = start(tmp_path, "--only", "register_1", "--rounds", "2", "--seconds", "1",
                "--before", str(other))
    out, progress = run.communicate(timeout=120)
    assert run.returncode == 0, progress
    column = "before, %s" % other
    assert "| variant | figure | %s | after | ratio |" % column in out, out
    turns = [line.split(", ", 1)[1] for line in progress.splitlines()
             if line.endswith((column, "after"))]
    assert turns == [column, "after"] * 2, progress
    saved, = tmp_path.glob("*.json")
    builds = json.loads(saved.read_text(encoding="utf-8"))["cases"]["register_1"]["builds"]
    assert list(builds) == [column, "after"]
    for rows in builds.values():
        assert rows["muster"]["failed"]["max"] == 0
        assert rows["muster"]["per_second"]["min"] < rows["muster"]["per_second"]["max"], "two rounds"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_run_that_is_ended_takes_its_processes_along(tmp_path, number):
    run = start(tmp_path, "--only", "register_1", "--rounds", "100", "--seconds", "1")
    await_true("replicas", lambda: len(processes_of(tmp_path)) == 3, 30)
    run.send_signal(number)
    run.communicate(timeout=60)
    assert run.returncode != 0
    assert processes_of(tmp_path) == [] == os.listdir(tmp_path)


def test_a_commit_that_is_not_there_is_named(tmp_path):
    run = start(tmp_path, "--only", "register_1", "--before", "nonsense")
    _, told = run.communicate(timeout=30)
    assert run.returncode == 1 and "nonsense" in told


def test_an_unknown_case_is_named(tmp_path):
    run = start(tmp_path, "--only", "register_1,nonsense")
    _, told = run.communicate(timeout=30)
    assert run.returncode == 2 and "nonsense" in told
