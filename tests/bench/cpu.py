"""CPU time of a set of processes, and how busy the rest of the machine was meanwhile."""

import time
from dataclasses import dataclass

import psutil


@dataclass
class Used:
    """CPU seconds that the measured processes and everybody else used while the meter ran."""

    own_s: float = 0.0
    foreign_share: float = 0.0


class CpuMeter:
    """Measures `roots` and all their descendants; `others` (the load generator) count as neither own nor foreign."""

    def __init__(self, roots: list[int], others: list[int]) -> None:
        self._roots, self._others = roots, others

    def __enter__(self) -> Used:
        self.used = Used()
        self._own, self._rest = family_s(self._roots), family_s(self._others, deep=False)
        self._busy, self._started = busy_s(), time.perf_counter()
        return self.used

    def __exit__(self, *_: object) -> None:
        elapsed = time.perf_counter() - self._started
        self.used.own_s = family_s(self._roots) - self._own
        rest = family_s(self._others, deep=False) - self._rest
        foreign = max(0.0, busy_s() - self._busy - self.used.own_s - rest)
        self.used.foreign_share = foreign / (elapsed * psutil.cpu_count())


def family_s(pids: list[int], *, deep: bool = True) -> float:
    """Return the CPU seconds of these processes and, if `deep`, of all below them, those already reaped included."""
    total = 0.0
    for process in {p for pid in pids for p in members(pid, deep=deep)}:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + (times.children_user + times.children_system if deep else 0.0)
    return total


def members(pid: int, *, deep: bool) -> list[psutil.Process]:
    """Return a process and its descendants; none when it has ended."""
    try:
        process = psutil.Process(pid)
        return [process, *(process.children(recursive=True) if deep else [])]
    except psutil.NoSuchProcess:
        return []


def busy_s() -> float:
    """Return the seconds that all processors together have spent working."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)
