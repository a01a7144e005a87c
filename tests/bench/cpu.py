"""CPU time of programs, and how busy the rest of the machine was meanwhile."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import nan

import psutil


@dataclass
class Used:
    """CPU seconds of each program, the share of all processors that strangers had, and how long it was measured."""

    by_program: dict[str, float] = field(default_factory=dict)
    foreign_share: float = 0.0
    elapsed_s: float = 0.0

    def per(self, count: int) -> dict[str, float]:
        """Return the CPU microseconds of each program for one of `count`; not a number when nothing was done."""
        return {name: seconds / count * 1e6 if count else nan for name, seconds in self.by_program.items()}


class CpuMeter:
    """Measures `programs` with all their descendants; `bystanders` are ours, but not part of what is measured.

    This process is one of the two as well, and never stands for the children it has.
    """

    def __init__(self, programs: Mapping[str, Sequence[int]], *, bystanders: Sequence[int] = ()) -> None:
        self._programs = programs
        measured = {pid for pids in programs.values() for pid in pids}
        self._bystanders = [pid for pid in {*bystanders, os.getpid()} if pid not in measured]

    def __enter__(self) -> Used:
        self.used = Used()
        self._before, self._rest = self._by_program(), total_s(self._bystanders)
        self._busy, self._started = busy_s(), time.perf_counter()
        return self.used

    def __exit__(self, *_: object) -> None:
        used = self.used
        used.elapsed_s = time.perf_counter() - self._started
        busy, rest = busy_s() - self._busy, total_s(self._bystanders) - self._rest
        used.by_program = {name: now - self._before[name] for name, now in self._by_program().items()}
        foreign = max(0.0, busy - rest - sum(used.by_program.values()))
        used.foreign_share = foreign / (used.elapsed_s * psutil.cpu_count())

    def _by_program(self) -> dict[str, float]:
        return {name: total_s(pids) for name, pids in self._programs.items()}


def total_s(pids: Sequence[int]) -> float:
    """Return the CPU seconds of these processes and of all below them, those already reaped included."""
    total = 0.0
    for process in {process for pid in pids for process in family(pid)}:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
        if process.pid != os.getpid():
            total += times.children_user + times.children_system
    return total


def family(pid: int) -> list[psutil.Process]:
    """Return a process and its descendants, this process alone; none when it has ended."""
    try:
        process = psutil.Process(pid)
        return [process] if pid == os.getpid() else [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def busy_s() -> float:
    """Return the seconds that all processors together have spent working."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)
