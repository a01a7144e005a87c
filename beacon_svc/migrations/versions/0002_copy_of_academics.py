"""Know which schools and rooms there are, so that no beacon is put into one that is not, or is another school's."""

from alembic import op

from streams.schema import statements

revision = "0002"
down_revision = "0001"

COPY = """
CREATE TABLE academics_copy (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('school', 'classroom')),
    school_id uuid NOT NULL,
    retired boolean NOT NULL,
    version bigint NOT NULL,
    shard smallint NOT NULL
)
"""


def upgrade() -> None:
    """Make the copy, and what a consumer of events needs."""
    for statement in (COPY, "CREATE INDEX academics_copy_shard ON academics_copy (shard)", *statements("consumer_1")):
        op.execute(statement)


def downgrade() -> None:
    """Refuse: schemas only go forward."""
    raise NotImplementedError
