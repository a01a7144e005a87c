"""NFC profile `totp-v1`: codes that change with time, shown by a beacon that emulates a tag."""

import hashlib
import hmac
from datetime import datetime, timedelta

STEP_S = 15
DIGITS = 8
WINDOW_STEPS = 1
MAX_OFFSET = timedelta(seconds=2 * STEP_S)


def code_at_step(key: bytes, step: int) -> str:
    """Return the 8-digit code of a time step. Source: RFC 6238 with SHA-256, 15 s, T0 = 0; RFC 4226 section 5.3."""
    mac = hmac.digest(key, step.to_bytes(8, "big"), hashlib.sha256)
    start = mac[-1] & 0x0F
    number = int.from_bytes(mac[start : start + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def step_at(at: datetime) -> int:
    """Return the number of the time step that holds `at`."""
    return int(at.timestamp() // STEP_S)


def find_step(key: bytes, code: str, *, shown_at: datetime) -> int | None:
    """Return the step whose code is `code`, one before or after `shown_at` at most; None when there is none.

    shown_at: by the beacon's clock. The own step is looked at first. Compares in constant time.
    """
    if len(code) != DIGITS or not (code.isascii() and code.isdigit()):
        return None
    middle = step_at(shown_at)
    steps = sorted(range(middle - WINDOW_STEPS, middle + WINDOW_STEPS + 1), key=lambda step: abs(step - middle))
    fitting = [step for step in steps if step >= 0 and hmac.compare_digest(code_at_step(key, step), code)]
    return fitting[0] if fitting else None
