"""Every request has ids of proper form and, where it is limited, an end."""

import asyncio
import re

import pytest

from infra.request_context import TRACEPARENT, current, serving

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_given_ids_are_kept():
    with serving(request_id="abc-DEF_1.2", traceparent=TRACE, limit_s=None) as context:
        assert (context.request_id, context.traceparent) == ("abc-DEF_1.2", TRACE)
        assert current() is context
    assert current() is None


@pytest.mark.parametrize("given", [None, "", "short", "x" * 65, "a b c d e", "abcdefgh\n", "\uff11" * 8, "${jndi:x}"])
def test_a_malformed_request_id_is_made_anew(given):
    with serving(request_id=given, traceparent=None, limit_s=None) as context:
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", context.request_id)


@pytest.mark.parametrize("given", [None, "", TRACE.upper(), TRACE + "-x", TRACE[:-1], "01" + TRACE[2:], TRACE + "\n"])
def test_a_malformed_trace_is_begun_anew(given):
    with serving(request_id=None, traceparent=given, limit_s=None) as context:
        assert TRACEPARENT.fullmatch(context.traceparent)
        assert context.traceparent != given


def test_what_is_left_of_the_time_shrinks():
    with serving(request_id=None, traceparent=None, limit_s=5) as context:
        first = context.remaining_s()
        assert first is not None
        assert context.remaining_s() <= first <= 5
    with serving(request_id=None, traceparent=None, limit_s=None) as context:
        assert context.remaining_s() is None


async def test_requests_at_the_same_time_do_not_see_each_other():
    both = asyncio.Barrier(2)

    async def serve(name):
        with serving(request_id=name, traceparent=None, limit_s=None):
            await both.wait()
            return current().request_id

    assert await asyncio.gather(serve("request-1"), serve("request-2")) == ["request-1", "request-2"]
