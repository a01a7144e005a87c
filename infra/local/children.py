"""Start programs that never outlive this process, and stop them within bounds."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from os import getpid
from pathlib import Path

LAUNCHER = Path(__file__).with_name("launch.py")
POLL_S = 0.01
LOG_TAIL_CHARS = 2_000


class LocalStackError(RuntimeError):
    """The local stack cannot do what was asked; the message is one line for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run and how it ends.

    stop_signal: asks for a clean end. death_signal: sent by the kernel when this process is gone.
    environment: None inherits this process's.
    keep_open: file descriptors that the program holds for as long as it lives.
    """

    name: str
    command: Sequence[str | Path]
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    environment: Mapping[str, str] | None = None
    working_folder: Path | None = None
    keep_open: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Child:
    """A running program."""

    program: Program
    process: "subprocess.Popen[bytes]" = field(repr=False)

    @property
    def pid(self) -> int:
        """The number of the program's own process."""
        return self.process.pid

    def is_running(self) -> bool:
        """Return whether the program still runs."""
        return self.process.poll() is None

    def wait_until(self, ready: Callable[[], bool], *, timeout_s: float) -> None:
        """Wait for `ready()` to be true.

        Raises: LocalStackError with the end of the log when the program ended or took too long.
        """
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.is_running() or time.monotonic() > deadline:
                raise LocalStackError(self.failure())
            time.sleep(POLL_S)

    def stop(self, *, timeout_s: float = 10.0) -> None:
        """End the program: ask, wait, then insist. Safe to repeat."""
        if self.is_running():
            self.process.send_signal(self.program.stop_signal)
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal that ends the program, as a fault would, and wait until it has ended."""
        self.process.send_signal(number)
        self.process.wait()

    def failure(self) -> str:
        """Return what is wrong with a program that should be ready, with the end of its log."""
        state = "did not become ready" if self.is_running() else "ended"
        tail = self.program.log.read_text(errors="replace")[-LOG_TAIL_CHARS:].strip()
        return f"{self.program.name} {state}; the end of {self.program.log}:\n{tail}"


def spawn(program: Program) -> Child:
    """Start `program`, writing what it says to its log.

    Call from the main thread: Linux ties the program to the thread that started it.
    """
    death_signal = str(int(program.death_signal))
    tie: list[str | Path] = [sys.executable, "-I", "-S", LAUNCHER, str(getpid()), death_signal]
    program.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with program.log.open("ab") as log:
        process = subprocess.Popen(
            [*tie, *program.command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=program.environment,
            cwd=program.working_folder,
            pass_fds=program.keep_open,
            # A terminal's ctrl-C must reach the parent alone, which stops its children in order.
            start_new_session=True,
        )
    return Child(program, process)
