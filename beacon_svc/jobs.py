"""Clock door: what is done later, again and again, until it is done; and what is forgotten in time."""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta

from beacon_svc.commands.hand_over import HandingOver, look_again
from beacon_svc.domain.proofs import KEPT
from beacon_svc.ports import OpenProofBook
from contracts.problems import UnavailableError
from infra.clock import Clock
from infra.device_requests import forget_nonces
from infra.postgres import Pool, transaction
from infra.telemetry import logger

IDLE_S = 1.0

# By day, which has an index; OFFSET 0 keeps other indexes away, by which everybody's codes would be looked through.
FORGET_CODES = """
DELETE FROM flash_code WHERE id = ANY(ARRAY(
    SELECT id FROM (
        SELECT id, issued_at FROM flash_code
        WHERE (issued_at AT TIME ZONE 'UTC')::date <= ($1::timestamptz AT TIME ZONE 'UTC')::date OFFSET 0
    ) AS c WHERE issued_at < $1))
"""
# The newest anchor of a beacon says how far its clock is off, however old it is.
FORGET_ANCHORS = """
DELETE FROM beacon_anchor WHERE ctid = ANY(ARRAY(
    SELECT old.ctid FROM beacon AS b CROSS JOIN LATERAL (
        SELECT server_at FROM beacon_anchor WHERE beacon_id = b.id ORDER BY server_at DESC LIMIT 1
    ) AS newest CROSS JOIN LATERAL (
        SELECT ctid FROM beacon_anchor WHERE beacon_id = b.id AND server_at < least($1, newest.server_at) OFFSET 0
    ) AS old))
"""

log = logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """Takes up held proofs when their time has come. Any number of processes may run it."""

    handing_over: HandingOver
    open_book: OpenProofBook

    async def run(self, stop: asyncio.Event) -> None:
        """Go on until `stop` is set; at once while there is more, with a pause while attendance is away."""
        failures = 0
        while not stop.is_set():
            taken, still_waiting = await self._turn()
            failures = failures + 1 if still_waiting else 0
            if still_waiting:
                await _pause(stop, self.handing_over.pauses.after(failures - 1).total_seconds())
            elif not taken:
                await _pause(stop, IDLE_S)

    async def _turn(self) -> tuple[int, int]:
        try:
            return await look_again(handing_over=self.handing_over, open_book=self.open_book)
        except UnavailableError as problem:
            log.warning("held proofs wait", action="hand_over", reason=problem.code)
            return 0, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Forgets codes, clock anchors and nonces that can matter to no proof any more."""

    pool: Pool
    every: timedelta
    now: Clock

    async def run(self, stop: asyncio.Event) -> None:
        """Go on until `stop` is set."""
        while not stop.is_set():
            try:
                await self.turn()
            except UnavailableError as problem:
                log.warning("nothing was swept", action="sweep", reason=problem.code)
            await _pause(stop, self.every.total_seconds())

    async def turn(self) -> None:
        """Sweep once. Raises: UnavailableError("database_down")."""
        now = self.now()
        async with transaction(self.pool) as lent:
            await lent.execute(FORGET_CODES, now - KEPT)
            await lent.execute(FORGET_ANCHORS, now - KEPT)
            await forget_nonces(lent, now)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
