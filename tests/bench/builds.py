"""Other builds to measure beside the present one: a musterd that is there, or one built of a commit."""
import os
import shutil
import subprocess

from cluster import MUSTERD, ROOT

BUILD_TIMEOUT_S = 1800


def find(folder, wanted):
    """The program of each, by the name of its column; the present one comes last."""
    programs = {"before, " + name:
                os.path.abspath(name) if os.path.isfile(name) else build(folder, name)
                for name in wanted}
    return {**programs, "after": MUSTERD}


def build(folder, revision):
    """As the commit builds its own releases. The program is kept in the folder for the next time."""
    commit = run("git", "rev-parse", "--verify", "--short=12", revision + "^{commit}").strip()
    program = os.path.join(folder, "musterd-" + commit)
    if not os.path.exists(program):
        tree = os.path.join(folder, "source-" + commit)
        run("git", "worktree", "add", "--force", "--detach", tree, commit)
        try:
            run("cmake", "--preset", "release", cwd=tree)
            run("cmake", "--build", "--preset", "release", "--target", "musterd", cwd=tree)
            shutil.copy(os.path.join(tree, "build", "release", "musterd"), program)
        finally:
            run("git", "worktree", "remove", "--force", tree)
    return program


def run(*command, cwd=ROOT):
    done = subprocess.run(command, cwd=cwd, capture_output=True, encoding="utf-8",
                          errors="replace", timeout=BUILD_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise RuntimeError("%s: %s" % (" ".join(command), (done.stderr or done.stdout)[-2000:]))
    return done.stdout
