"""One stack per folder at a time."""

import fcntl
import os
import time
from pathlib import Path

from infra.local.children import POLL_S, LocalStackError
from infra.local.launch import is_alive

ENDING_TIMEOUT_S = 15.0


def lock_folder(folder: Path) -> int:
    """Return the file descriptor that holds the lock of `folder`; closing the last copy of it releases the lock.

    Every child is given a copy. After a kill of the owner the folder is free when the last of them has ended,
    which is waited for.
    Raises: LocalStackError naming the process that has it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + ENDING_TIMEOUT_S
    while not _taken(descriptor):
        owner = os.pread(descriptor, 20, 0).decode()
        if time.monotonic() > deadline or (owner.isdigit() and is_alive(int(owner))):
            os.close(descriptor)
            raise LocalStackError(f"{folder} is in use by process {owner or 'unknown'}: stop it, or use another folder")
        time.sleep(POLL_S)
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
