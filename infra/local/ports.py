"""Find free TCP ports on the loopback interface."""

import secrets
import socket

# Below the ranges from which Linux (32768) and macOS (49152) take the ports of outgoing connections,
# so that none is taken between the check and its use.
FIRST_PORT = 20_000
LAST_PORT = 32_000
TRIES = 200

_given: set[int] = set()


def free_port() -> int:
    """Return a port that is free now; never the same one twice in a process.

    Raises: OSError when none was found.
    """
    for _ in range(TRIES):
        port = FIRST_PORT + secrets.randbelow(LAST_PORT - FIRST_PORT)
        if port not in _given and is_free(port):
            _given.add(port)
            return port
    raise OSError("no free port on 127.0.0.1")


def is_free(port: int) -> bool:
    """Return whether nothing listens on the port."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
