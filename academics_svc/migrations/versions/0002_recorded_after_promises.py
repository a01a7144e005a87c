"""Record nothing at a time that was already promised: a clock that goes back must not make a promise false.

The log promises "everything committed before t has a position". While the clock of this database repeats itself, what
is written counts from the newest such t.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

CLOCK = """
CREATE OR REPLACE FUNCTION recorded_now() RETURNS timestamptz LANGUAGE sql VOLATILE
RETURN greatest(clock_timestamp(), (SELECT max(closed_t) FROM streams_shard)) + make_interval(
    secs => coalesce(nullif(current_setting('rollcall.clock_shift_ms', true), '')::float8, 0) / 1000)
"""


def upgrade() -> None:
    """Let the clock of history rows never fall behind what was promised."""
    op.execute(CLOCK)


def downgrade() -> None:
    """Refuse: migrations only go forward."""
    raise NotImplementedError
