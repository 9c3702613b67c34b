"""The tests' own ports: a replica that is down for a moment must find its port free again."""
import os
import subprocess
import sys

from cluster import clean_environment, read_line
from ports import free_ports

HERE = os.path.dirname(os.path.abspath(__file__))
OTHER = "import sys; from ports import free_ports; print(*free_ports(900), flush=True); sys.stdin.read()"


def test_two_processes_of_tests_never_get_the_same_port():
    with subprocess.Popen([sys.executable, "-B", "-c", OTHER], cwd=HERE, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, encoding="utf-8",
                          env=clean_environment()) as other:
        others = {int(word) for word in read_line(other).split()}
        assert len(others) == 900
        assert not others & set(free_ports(300) + free_ports(300))
        other.stdin.close()


def test_a_port_comes_up_again_only_after_hundreds_of_others():
    taken = free_ports(6)
    for _ in range(50):
        assert not set(taken) & set(free_ports(6))
