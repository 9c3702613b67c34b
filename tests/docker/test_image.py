"""The image by itself."""
import time

from cluster import await_true
from engine import ROOT, run


def in_image(image, script):
    return run("docker", "run", "--rm", "--entrypoint", "sh", image, "-c", script).strip()


def test_the_image_runs_without_root(image):
    assert in_image(image, "id -u") == "9100"


def test_the_image_has_no_compiler_no_sources_and_no_package_lists(image):
    found = in_image(image, "command -v gcc cmake ninja; find /src /var/lib/apt/lists -type f 2>/dev/null; "
                     "true")
    assert found == ""


def test_the_image_adds_less_than_60_mb_to_its_base(image):
    sizes = [int(size) for size in run("docker", "history", "--human=false", "--format", "{{.Size}}",
                                       image).split()]
    own = [layer for layer in sizes if layer > 0][:-1]  # the oldest is the base
    assert own and sum(own) < 60e6, own


def test_both_programs_run_in_the_image(image):
    assert "musterd" in in_image(image, "musterd --version")
    assert "muster" in in_image(image, "muster --version")


def test_one_member_alone_gets_healthy_and_stops_in_order_on_sigterm(image):
    container = run("docker", "run", "-d", "--read-only", "--cap-drop", "ALL", image).strip()
    try:
        await_true("healthy", lambda: run("docker", "inspect", "-f", "{{.State.Health.Status}}",
                                          container).strip() == "healthy", 60, 0.2)
        assert run("docker", "exec", container, "cat", "/proc/1/comm").strip() == "musterd"
        began = time.monotonic()
        run("docker", "stop", "-t", "30", container)
        assert time.monotonic() - began < 25, "SIGTERM did not end it"
        assert run("docker", "inspect", "-f", "{{.State.ExitCode}}", container).strip() == "0"
        assert "stopped" in run("docker", "logs", container)
    finally:
        run("docker", "rm", "-f", "-v", container)


def test_a_replica_without_a_leader_is_not_healthy(image):
    container = run("docker", "run", "-d", "-e", "MUSTER_CLUSTER=1=a:9100,2=b:9100,3=c:9100",
                    "--health-start-period=1s", "--health-interval=1s", image).strip()
    try:
        await_true("unhealthy", lambda: run("docker", "inspect", "-f", "{{.State.Health.Status}}",
                                            container).strip() == "unhealthy", 60, 0.2)
    finally:
        run("docker", "rm", "-f", "-v", container)


def test_the_context_of_the_build_holds_what_is_built_and_nothing_else():
    with open(ROOT + "/.dockerignore", encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert "!server" in lines and "!tests" not in lines
