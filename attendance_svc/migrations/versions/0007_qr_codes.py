"""Remember in which sessions screens show codes, and who scanned which code."""

from alembic import op

revision = "0007"
down_revision = "0006"

STATEMENTS = (
    """
    CREATE TABLE qr_session (
        id uuid PRIMARY KEY,
        sid bytea NOT NULL CONSTRAINT qr_session_sid UNIQUE CHECK (octet_length(sid) = 8),
        school_id uuid NOT NULL,
        course_id uuid NOT NULL,
        classroom_id uuid, -- none: the codes prove no room
        opened_by uuid NOT NULL,
        opened_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        closed_at timestamptz,
        key_sealed bytea NOT NULL,
        CHECK (expires_at BETWEEN opened_at AND opened_at + interval '4 hours')
    )
    """,
    "CREATE INDEX qr_session_end ON qr_session (expires_at)",
    # No reference to the session, as with the parts of a signature: every scan of a room would lock its one row.
    """
    CREATE TABLE qr_scan (
        session_id uuid NOT NULL,
        step bigint NOT NULL,
        student_id uuid NOT NULL,
        device_id uuid NOT NULL,
        code bytea NOT NULL CHECK (octet_length(code) = 26),
        scanned_at timestamptz NOT NULL,
        PRIMARY KEY (session_id, step, student_id)
    )
    """,
    "CREATE INDEX qr_scan_time ON qr_scan (scanned_at)",
)


def upgrade() -> None:
    """Create the sessions and the scans."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("forward only")
