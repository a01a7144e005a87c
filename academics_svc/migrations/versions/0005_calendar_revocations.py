"""Remember who has made their calendar's URLs void: a URL counts only with the counter it was made with."""

from alembic import op

revision = "0005"
down_revision = "0004"

# Whoever never did has no row, and counter 0.
TABLE = """
CREATE TABLE calendar_revocation (
    user_id uuid PRIMARY KEY,
    counter integer NOT NULL CHECK (counter > 0)
)
"""


def upgrade() -> None:
    """Make the table; a counter never goes back, so its row is never deleted."""
    op.execute(TABLE)
    op.execute("REVOKE DELETE ON calendar_revocation FROM academics_app")


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("forward only")
