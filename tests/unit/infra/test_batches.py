"""A batch fails as little as it can: for those alone that cause it, and not at all for what passes."""

import asyncpg
import pytest

from contracts.problems import UnavailableError
from infra.batches import robust


class Database:
    """Doubles numbers; before that it meets the given faults: of a whole batch, in order, or of single numbers."""

    def __init__(self, *passing, bad=None):
        self.passing, self.bad, self.batches = list(passing), bad or {}, []
        self.work = robust(self._work, draw=lambda: 0.0)

    async def _work(self, items):
        self.batches.append(list(items))
        if self.passing:
            raise down(self.passing.pop(0))
        for item in items:
            if item in self.bad:
                raise self.bad[item]
        return [item * 2 for item in items]


def down(cause):
    """Say what infra.postgres makes of a fault of the database."""
    problem = UnavailableError("database_down")
    problem.__cause__ = cause
    return problem


async def test_what_goes_well_is_done_once():
    database = Database()

    assert await database.work([1, 2, 3]) == [2, 4, 6]

    assert database.batches == [[1, 2, 3]]


@pytest.mark.parametrize("fault", [asyncpg.NotNullViolationError("n"), ValueError("sealed"), KeyError("k")])
async def test_what_cannot_be_kept_fails_alone(fault):
    database = Database(bad={2: fault})

    assert await database.work([1, 2, 3]) == [2, fault, 6]

    assert database.batches == [[1, 2, 3], [1], [2], [3]]


@pytest.mark.parametrize(
    "cause", [asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.ConnectionDoesNotExistError, OSError]
)
async def test_what_passes_is_tried_once_more_and_nobody_hears_of_it(cause):
    database = Database(cause("x"))

    assert await database.work([1, 2]) == [2, 4]

    assert database.batches == [[1, 2], [1, 2]]


async def test_what_does_not_pass_is_everybodys_after_two_attempts():
    database = Database(OSError(), OSError(), OSError())

    answers = await database.work([1, 2])

    assert [type(answer) for answer in answers] == [UnavailableError, UnavailableError]
    assert database.batches == [[1, 2], [1, 2]]


async def test_who_waits_for_a_lock_in_vain_waits_alone():
    stuck = down(asyncpg.LockNotAvailableError("x"))
    database = Database(bad={2: stuck})

    assert await database.work([1, 2, 3]) == [2, stuck, 6]


async def test_no_connection_in_time_is_everybodys_at_once():
    database = Database(TimeoutError(), TimeoutError())

    assert len(set(await database.work([1, 2]))) == 1

    assert database.batches == [[1, 2]]


async def test_once_nothing_works_any_more_the_rest_is_not_tried_one_by_one():
    outage = down(TimeoutError())
    database = Database(bad={1: ValueError("x"), 2: outage})

    answers = await database.work([1, 2, 3, 4])

    assert answers[1:] == [outage, outage, outage]
    assert database.batches == [[1, 2, 3, 4], [1], [2]]
