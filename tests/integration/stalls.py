"""Stops one thread of a replica, like a call that does not return: by ptrace, so the others continue.
Needs permission to trace one's own children."""
import contextlib
import ctypes
import os

from cluster import await_true

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
libc.ptrace.restype = ctypes.c_long


def find(replica, name):
    folder = "/proc/%d/task" % replica.process.pid
    for thread in os.listdir(folder):
        with open(os.path.join(folder, thread, "comm"), encoding="utf-8") as file:
            if file.read().strip() == name:
                return int(thread)
    raise AssertionError("no thread " + name)


@contextlib.contextmanager
def standing_still(replica, name):
    thread = find(replica, name)
    assert libc.ptrace(SEIZE, thread, None, None) == 0, os.strerror(ctypes.get_errno())
    try:
        assert libc.ptrace(INTERRUPT, thread, None, None) == 0

        def stopped():
            return os.waitpid(thread, WALL | os.WNOHANG)[0] == thread
        await_true("thread %s stands still" % name, stopped, every_s=0.001)
        yield thread
    finally:
        libc.ptrace(DETACH, thread, None, None)


def await_end(replica, thread, within_s):
    """The process cannot end before we have seen its thread end."""
    def ended():
        with contextlib.suppress(ChildProcessError):
            os.waitpid(thread, WALL | os.WNOHANG)
        return replica.process.poll() is not None
    await_true("replica %d ends" % replica.id, ended, within_s)
    return replica.process.returncode
