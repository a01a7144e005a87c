"""A writer that dies before its commit has written nothing."""

import signal

import pytest

from tests.faults.streams.theatre import PATIENCE_S
from tests.streams_builders import SCHOOLS
from tests.waiting import until


@pytest.mark.slow
@pytest.mark.fault(1)
async def test_what_was_not_committed_was_never_said(theatre):
    theatre.both()
    for _ in range(3):
        writer = theatre.start("writer", die_at="written", school=str(SCHOOLS[0]))
        await until(lambda writer=writer: writer.poll() == -signal.SIGKILL, PATIENCE_S)
        theatre.injected += 1
    again = theatre.start("writer", school=str(SCHOOLS[0]))
    await until(lambda: again.poll() == 0, PATIENCE_S)
    await theatre.write(10)

    await theatre.settled()
    assert len(await theatre.log()) == 11
