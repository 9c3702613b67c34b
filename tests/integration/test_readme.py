"""The README's programs work verbatim."""
import os
import re
import subprocess
import sys

from cluster import ROOT, await_true, clean_environment


def example(language):
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        found = re.findall("^```%s\n(.*?)^```$" % language, file.read(), re.MULTILINE | re.DOTALL)
    assert len(found) == 1, language
    return found[0]


def test_the_python_example_registers_renews_and_leaves(shared):
    # The first replica is down: the example must try the next.
    servers = "http://127.0.0.1:1," + shared[0].url
    done = subprocess.run([sys.executable, "-c", example("python")], capture_output=True, encoding="utf-8",
                          check=False, timeout=60,
                          env=clean_environment({"MUSTER_SERVER": servers, "BEATS": "3"}))
    assert (done.returncode, done.stdout) == (0, "8080\n"), done.stderr
    assert shared[0].get("/instances/web-1?consistency=linearizable").status == 404


def test_the_shell_example_registers_and_renews(shared):
    process = subprocess.Popen(["sh", "-c", example("sh")], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, encoding="utf-8",
                               env=clean_environment({"REGISTRY": shared[1].url, "INTERVAL": "0.1"}))
    try:
        def heard():
            got = shared[1].get("/instances/job-1")
            return got.json["last_heartbeat"] if got.status == 200 else None
        first = await_true("it registered", heard)
        await_true("a heartbeat", lambda: heard() > first)
        # It ends when the registry no longer knows it.
        assert shared[1].request("DELETE", "/instances/job-1").status == 200
        assert "404" in process.communicate(timeout=30)[1]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(30)
