"""The order of the story."""

from infra.demo import (
    analytics,
    bad_input,
    flow_a,
    flow_b,
    flow_b_qr,
    flow_c,
    flow_d,
    flow_e,
    flow_live,
    imports,
)
from infra.demo.doors import UnexpectedAnswerError
from infra.demo.report import Report
from infra.demo.school import Stage, build_cast
from infra.demo.world import World

STUDENTS = 13
SCENES = [
    *flow_a.SCENES,
    *flow_b.SCENES,
    *flow_b_qr.SCENES,
    *flow_c.SCENES,
    *flow_live.SCENES,
    *flow_d.SCENES,
    *flow_e.SCENES,
    *flow_b_qr.LATER,
    *bad_input.SCENES,
    *imports.SCENES,
    *analytics.SCENES,
]
PLANNED = len(SCENES)


async def plan(world: World) -> None:
    """Plan the courses that scenes need."""
    for flow in (flow_a, flow_b, flow_b_qr, flow_e):
        await flow.plan(world)


async def play(stage: Stage, report: Report) -> None:
    """Play every scene in order; one that cannot go on is reported as such, and the story goes on."""
    report.doing("making two schools through the public doors")
    world = World(stage, await build_cast(stage, students=STUDENTS))
    await plan(world)
    for scene in SCENES:
        report.doing(scene.what)
        try:
            outcome = await scene.act(world)
        except (UnexpectedAnswerError, KeyError, OSError) as error:
            outcome = f"{type(error).__name__}: {error}"
        report.expect(scene.flow, scene.what, scene.expected, outcome)
