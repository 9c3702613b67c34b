"""Programs in Go, from a folder here or from its module proxy. Skips the test where Go or the modules are missing."""
import os
import shutil
import subprocess

import pytest

BUILD_WITHIN_S = 600


def _go(arguments, folder, environment):
    if shutil.which("go") is None:
        pytest.skip("Go is not installed")
    got = subprocess.run(["go"] + arguments, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         env=dict(os.environ, **environment), timeout=BUILD_WITHIN_S, check=False)
    if got.returncode != 0:
        pytest.skip("its modules are not to be had here: %s" % got.stdout[-300:])


def build(name, into):
    """The program of the folder of that name."""
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(str(into), name)
    _go(["build", "-o", path, "."], os.path.join(here, name), {"GOTOOLCHAIN": "auto"})
    return path


def install(package, into):
    """That of another, as PATH@VERSION."""
    _go(["install", package], str(into), {"GOBIN": str(into), "GOTOOLCHAIN": "auto", "GOFLAGS": ""})
    return os.path.join(str(into), package.split("@")[0].rsplit("/", 1)[1])
