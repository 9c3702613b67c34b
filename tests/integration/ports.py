"""Ports for the servers of a test.

A replica that is killed and started again needs its port back. In between nobody else may get it:
not another process of the tests, which run side by side, and not an outgoing connection. So each
process owns a block of ports as long as it lives, below the range that the kernel hands out, and
goes around in it: a port comes up again only after all others did.
"""
import functools
import itertools
import socket

BLOCKS = range(15000, 32000, 1000)
BLOCK_SIZE = 1000
_claims = []  # never closed


def free_ports(count):
    """`count` different ports of 127.0.0.1 on which nothing listens."""
    turn = (port for port in itertools.islice(_block(), BLOCK_SIZE) if _is_free(port))
    found = list(itertools.islice(turn, count))
    if len(found) < count:
        raise OSError("fewer than %d ports of this process's %d are free" % (count, BLOCK_SIZE))
    return found


@functools.lru_cache(maxsize=None)
def _block():
    """This process's own block, around and around."""
    for first in BLOCKS:
        claim = socket.socket(socket.AF_UNIX)
        try:
            # A name of the kernel's: of this network namespace, as ports are, and gone with us.
            claim.bind("\0muster-test-ports-%d" % first)
            _claims.append(claim)
            return itertools.cycle(range(first, first + BLOCK_SIZE))
        except OSError:
            claim.close()
    raise OSError("%d processes hold all ports for tests" % len(BLOCKS))


def _is_free(port):
    """Without SO_REUSEADDR: connections of the port's last server count as well."""
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False
