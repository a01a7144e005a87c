"""Let a flash code cost the same all day: whoever issues one looks under a lock whether its number is free.

The constraint compared each code with a tree of all those of eight days. A process of the release before asks for no
lock: while it runs beside a new one, two codes may get one number, as seldom as a draw meets one of those alive.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    "ALTER TABLE flash_code DROP CONSTRAINT flash_code_int4range_tstzrange_excl",
    # For what is forgotten, and of use to nothing else: who looks for a student's codes of the last minute must not
    # be sent through everybody's, as a plan made for an empty table would.
    "DROP INDEX flash_code_age",
    "CREATE INDEX flash_code_day ON flash_code (((issued_at AT TIME ZONE 'UTC')::date))",
)


def upgrade() -> None:
    """Drop the constraint, with its tree, and exchange the index."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Refuse: schemas only go forward."""
    raise NotImplementedError
