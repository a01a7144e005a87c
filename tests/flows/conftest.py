"""The whole system, started once for all flows: the demo's own stage and cast."""

from pathlib import Path

import pytest
import pytest_asyncio

from infra.demo.play import STUDENTS, plan
from infra.demo.school import Stage, build_cast
from infra.demo.world import World
from infra.local.services import Services
from infra.local.stack import Stack
from infra.settings import environment
from tests.flows.arena import build_arena


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(folder):
    """Two schools behind the edge; scenes leave in it what later scenes of the same flow need."""
    async with (
        Stack(folder=folder / "flows", given=environment()) as stack,
        Services(stack=stack) as services,
        Stage.opened(services) as stage,
    ):
        made = World(stage, await build_cast(stage, students=STUDENTS))
        await plan(made)
        yield made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def arena(world):
    """Two more schools in the same system, for tests that do harm."""
    return await build_arena(world.stage)


def pytest_collection_modifyitems(items):
    """Keep all tests of this folder in one worker: they share one running system."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("flows"))
