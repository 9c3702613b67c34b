"""Ports for the servers of a test.

A replica that is killed and restarted needs its port back. In between nobody else may take it:
neither another process of the tests, which run concurrently, nor an outgoing connection. So each
process owns a block of ports while it lives, below the ephemeral range, and uses them
round-robin.
"""
import functools
import itertools
import socket

BLOCKS = range(15000, 32000, 1000)
BLOCK_SIZE = 1000
_claims = []  # never closed


def free_ports(count):
    """`count` different ports of 127.0.0.1 without listeners."""
    turn = (port for port in itertools.islice(_block(), BLOCK_SIZE) if _is_free(port))
    found = list(itertools.islice(turn, count))
    if len(found) < count:
        raise OSError("fewer than %d ports of this process's %d are free" % (count, BLOCK_SIZE))
    return found


@functools.lru_cache(maxsize=None)
def _block():
    """This process's own block, endlessly."""
    for first in BLOCKS:
        claim = socket.socket(socket.AF_UNIX)
        try:
            # An abstract socket: per network namespace, like ports, and gone with this process.
            claim.bind("\0muster-test-ports-%d" % first)
            _claims.append(claim)
            return itertools.cycle(range(first, first + BLOCK_SIZE))
        except OSError:
            claim.close()
    raise OSError("%d processes hold all ports for tests" % len(BLOCKS))


def _is_free(port):
    """Without SO_REUSEADDR: connections of the port's last server count, too."""
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False
