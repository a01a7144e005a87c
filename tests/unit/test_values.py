"""Values are equal and hashed by what they say, and have no room for anything else."""

from dataclasses import field, replace

import pytest

from contracts.values import value


@value
class Colour:
    name: str
    shade: int = 0
    made_of: tuple[str, ...] = field(default=(), compare=False)


def test_a_value_is_what_it_says():
    assert Colour(name="red", made_of=("ochre",)) == Colour(name="red")
    assert len({Colour(name="red"), Colour(name="red"), replace(Colour(name="red"), shade=1)}) == 2


def test_its_fields_are_given_by_name():
    with pytest.raises(TypeError):
        Colour("red")


def test_it_has_no_room_for_anything_else():
    with pytest.raises(AttributeError):
        Colour(name="red").nickname = "rosso"
