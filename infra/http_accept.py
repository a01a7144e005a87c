"""Which of the kinds of answer that a door makes a caller would rather have."""

import re
from collections.abc import Sequence

from contracts.problems import NotAcceptableError

JSON, CSV = "application/json", "text/csv"
WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
RANGE = re.compile(rf"\s*({WORD})/({WORD})\s*(;[^,]*)?")
QUALITY = re.compile(r";\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*(?:;|$)", re.IGNORECASE)

Range = tuple[str, str, float]


def choose(accept: Sequence[str], made: Sequence[str]) -> str:
    """Return the kind that a caller wants most; of equally wanted ones what was named itself, then the first `made`.

    accept: the values of all Accept headers. What cannot be read in them is passed over; if nothing is left, any kind
    will do. Parameters beside the quality do not matter.
    Raises: NotAcceptableError("not_acceptable") when none of `made` is wanted.
    Source: RFC 9110, section 12.5.1.
    """
    ranges = [_range(match) for match in map(RANGE.fullmatch, ",".join(accept).split(",")) if match]
    if not ranges:
        return made[0]
    best = max(made, key=lambda kind: _wanted(kind, ranges))
    if _wanted(best, ranges)[0] == 0:
        raise NotAcceptableError("not_acceptable")
    return best


def _range(match: re.Match[str]) -> Range:
    kind, form, parameters = match.groups()
    quality = QUALITY.search(parameters or "")
    return kind.lower(), form.lower(), float(quality[1]) if quality else 1.0


def _wanted(made: str, ranges: Sequence[Range]) -> tuple[float, int]:
    """Return how much `made` is wanted, and how closely it was named: the closest range counts."""
    kind, _, form = made.partition("/")
    names = ((kind, form), (kind, "*"), ("*", "*"))
    for closeness, name in zip((2, 1, 0), names, strict=True):
        qualities = [quality for *each, quality in ranges if tuple(each) == name]
        if qualities:
            return max(qualities), closeness
    return 0.0, 0
