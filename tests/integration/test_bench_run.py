"""tests/bench: a run ends by itself, says what it measured, and leaves nothing behind."""
import json
import os
import signal
import subprocess
import sys

import pytest

from cluster import BIN, ROOT, await_true, clean_environment


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_run_that_is_ended_takes_its_processes_along(tmp_path, number):
    run = start(tmp_path, "--only", "register_1", "--rounds", "100", "--seconds", "1")
    await_true("replicas", lambda: len(processes_of(tmp_path)) == 3, 30)
    run.send_signal(number)
    run.communicate(timeout=60)
    assert run.returncode != 0
    assert processes_of(tmp_path) == [] == os.listdir(tmp_path)


def test_an_unknown_case_is_named(tmp_path):
    run = start(tmp_path, "--only", "register_1,nonsense")
    _, told = run.communicate(timeout=30)
    assert run.returncode == 2 and "nonsense" in told
