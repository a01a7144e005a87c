"""Let a proof cost less: no index that nobody reads, and no second look at a beacon that its locked key has shown."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    "DROP INDEX proof_school",
    # The service may not delete beacons, and keeps proofs only while it holds the lock of the beacon's key.
    "ALTER TABLE proof DROP CONSTRAINT proof_beacon_id_fkey",
    # Room for the next versions of a row on its own page: then no index has to be told.
    "ALTER TABLE beacon_key SET (fillfactor = 50)",
    "ALTER TABLE flash_code SET (fillfactor = 80)",
)


def upgrade() -> None:
    """Drop them, and leave room."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Refuse: schemas only go forward."""
    raise NotImplementedError
