"""The demo's story as tests: its scenes in their order, on one running system; later ones build on earlier ones."""

import pytest

from infra.demo.play import SCENES


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: f"{scene.flow}: {scene.what}")
async def test_the_scene_ends_as_expected(scene, world):
    assert str(await scene.act(world)) == scene.expected
