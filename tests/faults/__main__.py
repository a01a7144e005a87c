"""Play every fault and many schedules, and print what was counted: `python -m tests.faults [--long] [--json FILE]`."""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import pytest

from tests.faults.table import Ledger

ROOT = pathlib.Path(__file__).parents[2]
SCHEDULES, LONG_SCHEDULES = 10_000, 100_000  # of each of the two kinds


def main():
    options = read_options()
    began, ledger = time.monotonic(), Ledger()
    simulator = start_simulator(LONG_SCHEDULES if options.long else SCHEDULES)
    try:
        long = ["--long"] if options.long else []
        failed = pytest.main(["-q", "-m", "fault", *long, "tests/faults"], plugins=[ledger])
        schedules, _ = simulator.communicate()
    finally:
        simulator.kill()
    mutations = pytest.main(["-q", "-k", "left_out", "tests/simulation"])
    report = {
        "rows": ledger.as_json(),
        "simulator": schedules.strip().splitlines(),
        "rules_left_out_are_caught": mutations == 0,
        "seconds": round(time.monotonic() - began),
    }
    held = ledger.holds() and failed == 0 and simulator.returncode == 0 and mutations == 0
    show(ledger, report, held=held)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"held": held, **report}, indent=2) + "\n")
    sys.exit(not held)


def read_options():
    parser = argparse.ArgumentParser(prog="./dev faults", description=__doc__)
    parser.add_argument("--long", action="store_true", help="outages and leases of the real lengths")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    return parser.parse_args()


def start_simulator(count):
    command = [sys.executable, "-m", "tests.simulation", str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def show(ledger, report, *, held):
    lines = ["", *ledger.lines(), ""]
    lines += [f"simulator: {line}" for line in report["simulator"]]
    lines += [
        f"each rule of streams left out is caught: {'yes' if report['rules_left_out_are_caught'] else 'NO'}",
        f"{report['seconds']} s; {'everything held' if held else 'NOT everything held'}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
