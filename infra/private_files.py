"""Files that only their owner reads: keys, passwords, configuration that holds one."""

import os
from pathlib import Path


def write_private(file: Path, text: str) -> None:
    """Write `file` with mode 0600, whole or not at all."""
    partial = file.with_name(file.name + ".partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
    partial.replace(file)


def kept(file: Path, fresh: str) -> str:
    """Return what `file` holds; a file that is not there is made with `fresh`, mode 0600."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not file.exists():
        write_private(file, fresh)
    return file.read_text()
