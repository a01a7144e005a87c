"""Every shape that an event has ever had, and what a new shape may not do to them.

Old events stay in logs for months and old readers run beside new writers: only optional fields may come.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = Path("contracts/schemas/versions")
# What people read and no reader depends on.
WORDS = {"title", "description", "$id", "$schema"}
# Compared name by name; "required" follows from the properties, for whatever is written is written whole.
BY_NAME = {"properties", "$defs"}
APART = BY_NAME | WORDS | {"required", "default"}

Schema = Mapping[str, Any]


def versions(wire_name: str) -> list[dict[str, Any]]:
    """Return the committed shapes of an event, oldest first."""
    files = (ROOT / FOLDER).glob(f"{wire_name}.*.json")
    return [json.loads(file.read_text()) for file in sorted(files, key=_number)]


def new_version(wire_name: str, schema: Schema) -> Iterator[tuple[Path, Schema]]:
    """Yield where the shape of an event is kept, if it differs from the newest that is kept."""
    kept = versions(wire_name)
    if not kept or _bare(kept[-1]) != _bare(schema):
        yield FOLDER / f"{wire_name}.{len(kept) + 1}.json", schema


def breaks(old: Schema, new: Schema, path: str = "data") -> list[str]:
    """Return, a sentence each, what `new` does to those who read or wrote by `old`."""
    found = []
    for name in sorted((old.keys() | new.keys()) - APART):
        found += _differs(old.get(name), new.get(name), f"{path}.{name}")
    for part in BY_NAME:
        before, after = old.get(part, {}), new.get(part, {})
        found += [f"{path}.{name} is gone" for name in before.keys() - after.keys()]
        for name in before.keys() & after.keys():
            found += breaks(before[name], after[name], f"{path}.{name}")
    added = new.get("properties", {}).keys() - old.get("properties", {}).keys()
    found += [f"{path}.{name} is new and has no default" for name in added if "default" not in new["properties"][name]]
    return sorted(found)


def _differs(old: object, new: object, path: str) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        return breaks(old, new, path)
    return [] if _bare(old) == _bare(new) else [f"{path} was {json.dumps(old)} and is {json.dumps(new)}"]


def _bare(part: object) -> object:
    if isinstance(part, list):
        return [_bare(each) for each in part]
    if not isinstance(part, dict):
        return part
    # A field may be called "title": its schema is an object, and the words are texts.
    return {name: _bare(each) for name, each in part.items() if name not in WORDS or not isinstance(each, str)}


def _number(file: Path) -> int:
    return int(file.name.split(".")[-2])
