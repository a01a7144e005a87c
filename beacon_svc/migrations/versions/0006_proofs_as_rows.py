"""Let a new proof be handed over as one row: the driver and the server look at arrays value by value."""

from alembic import op

revision = "0006"
down_revision = "0005"

# A type of its own, so that what runs goes on while the table gets a column.
ADDED_PROOF = """
CREATE TYPE added_proof AS (
    id uuid,
    school_id uuid,
    beacon_id uuid,
    kid text,
    seq bigint,
    message bytea,
    sha256 bytea,
    signature text,
    received_at timestamptz,
    proved_at timestamptz,
    uncertainty_ms bigint,
    classroom_id uuid,
    code_id uuid,
    course_id uuid,
    student_id uuid,
    acting_school_id uuid,
    flags text[],
    state text,
    reason text,
    try_at timestamptz,
    version bigint
)
"""


def upgrade() -> None:
    """Create the type."""
    op.execute(ADDED_PROOF)


def downgrade() -> None:
    """Refuse: schemas only go forward."""
    raise NotImplementedError
