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
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_no_duplicates)
        _check(value, MAX_DEPTH)
    except (ValueError, RecursionError) as error:
        raise MalformedError("malformed_json") from error
    return value


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("duplicate key")
    return made


def _check(value: object, depth: int) -> None:
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if not isinstance(value, list):
        _check_scalar(value)
        return
    if depth == 0:
        raise ValueError("too deep")
    for item in value:
        _check(item, depth - 1)


def _check_scalar(value: object) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not finite")
    # A lone surrogate is a UnicodeEncodeError, which is a ValueError.
    if isinstance(value, str) and b"\0" in value.encode("utf-8"):
        raise ValueError("NUL")
