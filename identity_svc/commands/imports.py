"""Making many accounts at once."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from contracts.problems import ConflictError, ProblemError
from identity_svc.commands.accounts import account_for, keep_new
from identity_svc.domain.accounts import Account, Actor
from identity_svc.ports import Books, Draft, OpenBooks
from infra.imported import Imported


async def import_users(
    drafts: Sequence[Draft], *, actor: Actor, open_books: OpenBooks, now: datetime
) -> Sequence[Imported | ProblemError]:
    """Make the accounts that are not there, without passwords, in one transaction; one that is there stays as it is.

    Returns of each what it became, or why `actor` cannot make it. Safe to repeat.
    Raises: ConflictError("student_number_taken") when one has a number of another: then none is kept;
    UnavailableError.
    """
    wanted = [_account_or_problem(draft, actor=actor, now=now) for draft in drafts]
    try:
        return await _import(wanted, open_books=open_books, now=now)
    except ConflictError as conflict:
        if conflict.code != "email_taken":
            raise
        # Somebody made the same account since it was looked for; now it is there.
        return await _import(wanted, open_books=open_books, now=now)


async def _import(
    wanted: Sequence[Account | ProblemError], *, open_books: OpenBooks, now: datetime
) -> Sequence[Imported | ProblemError]:
    async with open_books() as books:
        there = await books.accounts.find_by_emails([each.email for each in wanted if isinstance(each, Account)])
        return [
            await _import_one(each, there, books=books, now=now) if isinstance(each, Account) else each
            for each in wanted
        ]


def _account_or_problem(draft: Draft, *, actor: Actor, now: datetime) -> Account | ProblemError:
    try:
        return account_for(draft, actor=actor, now=now)
    except ProblemError as problem:
        return problem


async def _import_one(
    account: Account, there: Mapping[str, Account], *, books: Books, now: datetime
) -> Imported | ProblemError:
    known = there.get(account.email.lower())
    if known is None:
        await keep_new(account, None, books=books, now=now)
        return Imported(account.id, is_new=True)
    if (known.school_id, known.type) != (account.school_id, account.type):
        return ConflictError("email_taken")
    # A commit whose answer was lost has kept this very one.
    return Imported(known.id, is_new=known.id == account.id)
