"""Become another program that ends when the process which asked for it ends, even by SIGKILL.

Run as a script by `children.spawn`: launch.py PARENT_PID SIGNAL COMMAND...
A script of its own, since code between fork and exec of a threaded process may deadlock.
"""

import ctypes
import os
import sys
import time

PR_SET_PDEATHSIG = 1  # Source: linux/prctl.h
WATCH_PERIOD_S = 0.25
GRACE_S = 10.0


def main(arguments: list[str]) -> None:
    """Tie this process to the life of its parent, then become the command."""
    parent, death_signal, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    else:
        watch(int(parent), os.getpid(), int(death_signal))
    if os.getppid() != int(parent):  # It ended before the tie was made.
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 -- no shell is wanted


def watch(parent: int, target: int, death_signal: int) -> None:
    """Leave a process behind that signals `target` when `parent` has ended: for systems without PR_SET_PDEATHSIG."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    # Forked twice, so that the program never meets a child which it did not start.
    if os.fork() == 0:
        os.setsid()
        while is_alive(parent) and is_alive(target):
            time.sleep(WATCH_PERIOD_S)
        for number in (death_signal, 9):
            if is_alive(target):
                os.kill(target, number)
                wait_until_gone(target)
    os._exit(0)


def wait_until_gone(target: int) -> None:
    """Wait for the process to end, for as long as the grace lasts."""
    deadline = time.monotonic() + GRACE_S
    while is_alive(target) and time.monotonic() < deadline:
        time.sleep(WATCH_PERIOD_S)


def is_alive(process: int) -> bool:
    """Return whether a process of this number exists."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    main(sys.argv[1:])
