"""Find what belongs to a signature by its index, whatever sizes were counted when a plan was made."""

from alembic import op

revision = "0004"
down_revision = "0003"

# OFFSET 0 keeps the look by itself. Joined, it would be planned for a table of yesterday's size.
JUDGED_SIGNATURE = """
CREATE OR REPLACE VIEW judged_signature AS
SELECT s.*, d.uncertainty_ms, d.flags, d.has_device, d.claim
FROM signature s LEFT JOIN LATERAL (
    SELECT uncertainty_ms, flags, has_device, claim FROM student_signature WHERE signature_id = s.id OFFSET 0
) AS d ON true
"""


def upgrade() -> None:
    """Replace the view."""
    op.execute(JUDGED_SIGNATURE)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("forward only")
