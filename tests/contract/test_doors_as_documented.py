"""Every documented operation is served, by the service and by the edge, and refuses as the document says."""

import importlib
import json
import pathlib
import re
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession
from jsonschema import Draft202012Validator

from infra.cli.schemas import stand_ins
from infra.envoy.routes import ROUTES, SERVICES
from infra.process import running
from infra.settings import load

OPENAPI = pathlib.Path(__file__).parents[2] / "contracts/schemas/openapi"
DOCUMENTS = {service: json.loads((OPENAPI / f"{service}.json").read_text()) for service in SERVICES}
OPERATIONS = [
    (service, method.upper(), path, operation)
    for service, document in DOCUMENTS.items()
    for path, methods in document["paths"].items()
    for method, operation in methods.items()
]
AN_ID = "0198f3b2-7c1d-7d7e-9a52-3f2f0c9d8e11"
WANTED = {"user_token": "person", "beacon_token": "beacon"}


def sample(path):
    return re.sub(r"{\w+}", AN_ID, path)


def names_of(operation):
    return {parameter["name"] for parameter in operation.get("parameters", ())}


def of(service):
    return [(method, path, operation) for owner, method, path, operation in OPERATIONS if owner == service]


@pytest.mark.parametrize(
    ("service", "method", "path", "operation"), OPERATIONS, ids=[f"{m} {p}" for _, m, p, _ in OPERATIONS]
)
def test_the_edge_passes_an_operation_to_its_service_and_wants_the_same_token(service, method, path, operation):
    route = next(route for route in ROUTES if route.takes(method, sample(path)))

    wanted = [WANTED[name] for security in operation["security"] for name in security] or ["anyone"]
    assert (route.to, [route.caller]) == (service, wanted)


PAGED = [(method, path) for _, method, path, operation in OPERATIONS if "limit" in names_of(operation)]


@pytest.mark.parametrize(("method", "path"), PAGED)
def test_the_edge_counts_how_often_one_caller_lists(method, path):
    route = next(route for route in ROUTES if route.takes(method, sample(path)))

    assert route.limit in {"lists", "reports"}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("path", ["/openapi/{}.json", "/docs/{}"])
def test_the_edge_shows_the_documents(service, path):
    route = next(route for route in ROUTES if route.takes("GET", path.format(service)))

    assert (route.to, route.caller) == (service, "anyone")


@asynccontextmanager
async def alone(service, folder):
    """The REST door of a service that has nothing behind it: no database, no Redis, no peer."""
    process = importlib.import_module(f"{service}_svc.__main__").process
    variables = stand_ins(service, folder) | {f"{service.upper()}_PARTS": "http"}
    async with (
        running(process, load(process.settings, f"{service.upper()}_", variables)) as ports,
        ClientSession(f"http://127.0.0.1:{ports['http_port']}") as client,
    ):
        yield client


@pytest.mark.parametrize("service", SERVICES)
async def test_the_door_serves_what_is_documented_and_nothing_else(service, tmp_path):
    async with alone(service, tmp_path) as client:
        served = await (await client.get(f"/openapi/{service}.json")).json()

        assert served == DOCUMENTS[service]
        assert (await client.get(f"/docs/{service}")).status == 200


@pytest.mark.parametrize("service", SERVICES)
async def test_who_brings_no_token_or_a_bad_one_gets_401_wherever_one_is_needed(service, tmp_path):
    found = []
    async with alone(service, tmp_path) as client:
        for method, path, operation in of(service):
            for headers in ({}, {"Authorization": "Bearer x.y.z"}) if operation["security"] else ():
                response = await client.request(method, sample(path), headers=headers)
                found.append((response.status, (await problem(service, response))["code"]))

    assert set(found) == {(401, "token_missing"), (401, "token_invalid")}


@pytest.mark.parametrize("service", SERVICES)
async def test_what_is_open_to_anyone_refuses_nonsense_and_says_when_its_database_is_away(service, tmp_path):
    async with alone(service, tmp_path) as client:
        for method, path, operation in of(service):
            for raw in (b"", b"{", b"[]", b'{"surprise": 1}') if not operation["security"] else ():
                headers = {"Content-Type": "application/json"} if raw else {}
                response = await client.request(method, sample(path), data=raw, headers=headers)

                if response.status != 200:
                    assert (await problem(service, response))["status"] in (400, 422, 503), f"{method} {path} {raw}"


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_whose_servers_are_away_lives_and_is_not_ready(service, tmp_path):
    async with alone(service, tmp_path) as client:
        assert (await client.get("/health")).status == 200
        ready = await client.get("/ready")

        assert (ready.status, (await ready.json())["database"]) == (503, False)


async def problem(service, response):
    """The problem of an answer, which has the form that the document says."""
    assert response.content_type == "application/problem+json"
    document = await response.json()
    Draft202012Validator(DOCUMENTS[service]["components"]["schemas"]["Problem"]).validate(document)
    return document
