"""The product's source files, for the tests that read them."""

import pathlib

ROOT = pathlib.Path(__file__).parents[2]
SERVICES = sorted(folder.name for folder in ROOT.glob("*_svc"))
SOURCES = [
    file
    for top in [*SERVICES, "contracts", "streams", "infra"]
    for file in sorted((ROOT / top).rglob("*.py"))
    if "_pb2" not in file.name
]


def name_of(file):
    return str(file.relative_to(ROOT))
