"""Beacons, their clocks, flash codes, NFC codes and the judgement of proofs. Pure: no I/O, no clock."""
