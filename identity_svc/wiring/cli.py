"""Commands for operators, beside `run` and `migrate`."""

import asyncio
import sys
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

import typer

from contracts.events.envelope import Cause
from contracts.ids import new_user_id
from contracts.problems import ProblemError
from identity_svc.commands.accounts import create_first_dev
from identity_svc.ports import Books, Draft
from identity_svc.settings import Settings
from identity_svc.store.books import open_books
from identity_svc.store.keys import KeyCupboard
from identity_svc.wiring import NAME, open_hasher
from infra.clock import utc_now
from infra.postgres import create_pool
from infra.process import ServiceProcess
from infra.secret_box import SecretBox
from streams.outbox import Outbox


def add_commands(app: typer.Typer, process: ServiceProcess[Settings]) -> typer.Typer:
    """Return `app` with the commands of this service."""

    @app.command()
    def bootstrap(
        email: Annotated[str, typer.Option()],
        firstname: Annotated[str, typer.Option()],
        lastname: Annotated[str, typer.Option()],
        *,
        another: Annotated[bool, typer.Option(help="although there is a developer already")] = False,
    ) -> None:
        """Make a developer's account; the password is the first line of the standard input."""
        password = sys.stdin.readline().rstrip("\r\n")
        draft = Draft(
            id=new_user_id(),
            type="dev",
            school_id=None,
            email=email,
            firstname=firstname,
            lastname=lastname,
            password=password,
        )
        run(make_dev(process.load(), draft, another=another))
        typer.echo(draft.id)

    @app.command()
    def revoke_key(kid: str) -> None:
        """Stop trusting a signing key at once; every token it signed is void."""
        run(revoke(process.load(), kid))

    return app


def run(work: Coroutine[Any, Any, None]) -> None:
    """Do `work`; a problem ends the process with its code on the standard error."""
    try:
        asyncio.run(work)
    except ProblemError as problem:
        typer.echo(problem.code, err=True)
        raise typer.Exit(1) from problem


async def make_dev(settings: Settings, draft: Draft, *, another: bool) -> None:
    """Keep the account that `draft` describes. Raises: ProblemError."""
    now = utc_now()
    async with create_pool(settings.database_url.get_secret_value(), name=NAME, size=1) as pool:

        def books() -> AbstractAsyncContextManager[Books]:
            return open_books(pool, Outbox(settings.shard_count), Cause(at=now, actor_type="service"))

        with open_hasher(settings) as passwords:
            await create_first_dev(draft, another=another, open_books=books, passwords=passwords, now=now)


async def revoke(settings: Settings, kid: str) -> None:
    """Revoke a signing key. Raises: NotFoundError."""
    box = SecretBox.from_file(settings.key_file)
    async with create_pool(settings.database_url.get_secret_value(), name=NAME, size=1) as pool:
        await KeyCupboard(pool, box=box, outbox=Outbox(settings.shard_count)).revoke(kid, now=utc_now())
