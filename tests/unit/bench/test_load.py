import asyncio
from functools import partial

from tests.bench.load import Heard, closed_loop, post


async def answer(word=None):
    await asyncio.sleep(0)
    return word


async def break_off():
    raise ConnectionResetError


async def test_every_call_of_every_line_is_made_and_timed():
    load = await closed_loop([[answer] * 3, [answer] * 2])

    assert (len(load.latencies_s), load.failures) == (5, [])


async def test_a_fault_is_kept_and_not_timed_and_the_line_goes_on():
    load = await closed_loop([[partial(answer, "503 overloaded"), answer]])

    assert (len(load.latencies_s), load.failures) == (1, ["503 overloaded"])


async def test_a_broken_connection_ends_its_line_only():
    load = await closed_loop([[break_off, answer], [answer, answer]])

    assert (len(load.latencies_s), load.failures) == (2, ["ConnectionResetError"])


async def test_what_was_prepared_is_sent_even_when_time_is_up():
    prepared, made = [], []

    def line():
        for number in range(1_000_000):
            prepared.append(number)
            yield partial(send, number)

    async def send(number):
        made.append(number)
        await asyncio.sleep(0)

    await closed_loop([line()], seconds=0.01)

    assert made == prepared


def test_a_problem_is_told_by_its_status_and_code():
    assert Heard(503, b'{"code": "database_down"}').fault() == "503 database_down"
    assert Heard(502, b"<html>").fault() == "502 <html>"
    assert Heard(500, b"[]").fault() == "500 []"


def test_a_request_says_how_long_it_is_and_who_asks():
    request = post("/signatures", b"{}", token="abc", headers={"X-Device-Id": "1"})

    head, _, body = request.partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"POST /signatures HTTP/1.1"
    assert {b"Content-Length: 2", b"Authorization: Bearer abc", b"X-Device-Id: 1"} <= set(head.split(b"\r\n"))
    assert body == b"{}"
