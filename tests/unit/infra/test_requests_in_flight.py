"""A door serves so many requests at once, and each for so long."""

import asyncio
from math import inf

import pytest

from contracts.problems import UnavailableError
from infra.requests_in_flight import RequestsInFlight


def serve(in_flight, limit_s):
    """A request whose handler would never end by itself."""

    async def run():
        task = asyncio.current_task()
        in_flight.begin(task, limit_s)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "late" if in_flight.has_ended(task) else "cancelled"
        finally:
            in_flight.end(task)

    return asyncio.create_task(run())


async def test_each_request_ends_when_its_time_is_over():
    in_flight, loop = RequestsInFlight(10), asyncio.get_running_loop()
    started = loop.time()

    first = serve(in_flight, 0.02)
    await asyncio.sleep(0)
    second = serve(in_flight, 0.05)

    assert (await first, second.done()) == ("late", False)
    assert await second == "late"
    assert loop.time() - started >= 0.05
    assert await serve(in_flight, 0.01) == "late"


async def test_a_request_that_may_last_is_let_alone():
    in_flight = RequestsInFlight(10)
    lasting = serve(in_flight, inf)
    await asyncio.sleep(0)

    assert [await serve(in_flight, 0.01), await serve(in_flight, 0.01)] == ["late", "late"]

    assert not lasting.done()
    lasting.cancel()
    assert await lasting == "cancelled"


async def test_whoever_is_cancelled_by_others_is_not_late():
    in_flight = RequestsInFlight(10)
    other, both = serve(in_flight, inf), serve(in_flight, 0)
    await asyncio.sleep(0)
    other.cancel()
    asyncio.get_running_loop().call_later(0, both.cancel)

    assert [await other, await both] == ["cancelled", "cancelled"]


async def test_beyond_the_limit_requests_are_sent_away_until_one_ends():
    in_flight = RequestsInFlight(1)
    first = serve(in_flight, inf)
    await asyncio.sleep(0)

    with pytest.raises(UnavailableError, match="overloaded"):
        await serve(in_flight, inf)

    first.cancel()
    await first
    assert await serve(in_flight, 0.01) == "late"
