"""JSON as strict as the RFC: what one reader would see differently from another is refused."""

import json
import math
from typing import Any

from contracts.problems import MalformedError

MAX_DEPTH = 32


def strict_loads(raw: bytes) -> Any:  # noqa: ANN401 -- any JSON value
    """Return the value that `raw` spells.

    Refuses: anything but UTF-8, duplicate keys, NaN and infinities (1e999 too), lone surrogates, NUL, lists
    and objects more than 32 deep.
    Raises: MalformedError("malformed_json").
    """
    try:
        value = DECODER.decode(raw.decode("utf-8"))
        # Nothing is deeper than it has brackets: most bodies need no second look.
        if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH:
            _check_depth(value)
        # UTF-8 has no surrogates and JSON no plain NUL: only escapes spell them.
        if b"\\" in raw:
            _check_strings(value)
    except (ValueError, RecursionError) as error:
        raise MalformedError("malformed_json") from error
    return value


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("duplicate key")
    return made


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


# Made once: json.loads makes a decoder for every text that it reads in a way of its own.
DECODER = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_float=_finite, parse_constant=_finite)


def _check_depth(value: object) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        parts = (each.values() if type(each) is dict else each if type(each) is list else () for each in level)
        level = [item for part in parts for item in part if type(item) is dict or type(item) is list]
    if level:
        raise ValueError("too deep")


def _check_strings(value: object) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _check_strings(key)
            _check_strings(item)
    elif isinstance(value, list):
        for item in value:
            _check_strings(item)
    # A lone surrogate is a UnicodeEncodeError, which is a ValueError.
    elif isinstance(value, str) and b"\0" in value.encode("utf-8"):
        raise ValueError("NUL")
