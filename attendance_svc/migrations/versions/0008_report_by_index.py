"""Find the courses of a school in a span of time by their index, for reports."""

from alembic import op

revision = "0008"
down_revision = "0007"

# Of all versions, though only the current ones are looked for: a second index of those alone costs nothing while the
# table is empty, and a plan made then may take it for the other one.
STATEMENTS = ("CREATE INDEX copy_course_school ON copy_course (school_id, start_at)",)


def upgrade() -> None:
    """Create the index."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("forward only")
