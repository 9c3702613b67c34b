"""The simulator: a hanging run is ended, and is a failure that names its seed."""
import os
import re
import subprocess

from cluster import BIN, clean_environment

SIM = os.path.join(BIN, "muster_sim")


def sim(*arguments):
    return subprocess.run([SIM, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          encoding="utf-8", timeout=100, check=False, env=clean_environment())


def test_a_run_that_takes_too_long_is_broken_alone_and_among_others():
    done = sim("--seed", "7", "--within-ms", "1")
    assert done.returncode == 1, done
    assert done.stdout.splitlines()[-1].startswith("VIOLATION ends_in_time seed=7 "), done.stdout
    done = sim("--seeds", "7-9", "--jobs", "2", "--within-ms", "1")
    assert done.returncode == 1, done
    assert re.findall(r"^VIOLATION ends_in_time seed=(\d+) ", done.stdout, re.MULTILINE) == [
        "7", "8", "9"], done.stdout
    assert "runs=3 broken=3" in done.stdout.splitlines()[-1]


def test_a_run_that_ends_in_time_is_clean_and_the_same_each_time():
    verdicts = {sim("--seed", "7").stdout.splitlines()[-1] for _ in range(2)}
    assert len(verdicts) == 1 and verdicts.pop().startswith("clean seed=7 "), verdicts
