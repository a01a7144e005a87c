"""What every route of identity_svc needs: who calls, and the books to write in."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from contracts.events.envelope import Cause
from contracts.problems import UnauthenticatedError
from identity_svc.domain.accounts import Actor
from identity_svc.ports import Books, OpenBooks, Passwords
from identity_svc.queries import find_actor
from infra.clock import Clock
from infra.http_routes import Call
from infra.postgres import Pool, connection
from infra.request_context import current


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Tools of the routes. open_books: opens the books for a cause."""

    pool: Pool
    open_books: Callable[[Cause], AbstractAsyncContextManager[Books]]
    passwords: Passwords
    now: Clock

    async def actor(self, call: Call[Any, Any]) -> Actor:
        """Return who calls, as the database knows them now: here an ended session ends at once.

        Raises: UnauthenticatedError("token_revoked").
        """
        caller = call.caller
        async with connection(self.pool) as lent:
            actor = await find_actor(lent, user_id=caller.id, session_id=caller.session_id, now=self.now())
        if actor is None:
            raise UnauthenticatedError("token_revoked")
        return actor

    def books(self, actor: Actor | None = None) -> AbstractAsyncContextManager[Books]:
        """Open the books for a change by `actor`, or by this service itself."""
        context = current()
        return self.open_books(
            Cause(
                at=self.now(),
                actor_type=actor.type if actor else "service",
                actor_id=actor.id if actor else None,
                request_id=context.request_id if context else None,
                traceparent=context.traceparent if context else None,
            )
        )

    def books_of(self, actor: Actor | None = None) -> OpenBooks:
        """Return what opens the books for changes by `actor`, as often as it takes."""
        return partial(self.books, actor)
