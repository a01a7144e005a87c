"""Keep every judged attempt and every mark, refusals and duplicates too, so that each can be explained later."""

from alembic import op

from infra.migrate import statements_of
from streams.schema import grants, statements

revision = "0001"
down_revision = None

SIGNATURES = (
    """
    CREATE TABLE signature (
        id uuid PRIMARY KEY,
        school_id uuid, -- none: a client of the seed's contract named a course that nobody knows
        course_id uuid, -- none: no course, or several, in the proved room
        kind text NOT NULL CHECK (kind IN ('student', 'teacher')),
        subject_id uuid NOT NULL,
        status text NOT NULL CHECK (status IN ('PENDING', 'ACCEPTED', 'LATE', 'REFUSED')),
        reason text NOT NULL,
        method text NOT NULL CHECK (method IN ('QR', 'NFC', 'FLASHLIGHT', 'BEACON', 'TEACHER', 'ADMIN')),
        t timestamptz NOT NULL,
        received_at timestamptz NOT NULL,
        rule_version integer NOT NULL,
        version bigint NOT NULL, -- counts transitions
        announced bigint NOT NULL, -- counts events
        idempotency_key text CONSTRAINT signature_key UNIQUE, -- for ever
        digest bytea CHECK (octet_length(digest) = 32),
        beacon_id uuid,
        classroom_id uuid,
        superseded_by uuid REFERENCES signature DEFERRABLE INITIALLY DEFERRED,
        voided_at timestamptz,
        judged_by text CHECK (judged_by IN ('teacher', 'admin')),
        judged_at timestamptz,
        CHECK (superseded_by <> id),
        CHECK ((judged_by IS NULL) = (judged_at IS NULL))
    )
    """,
    # The earliest time with the best status wins; nobody is present twice.
    """
    CREATE UNIQUE INDEX signature_standing ON signature (course_id, kind, subject_id)
    WHERE status IN ('ACCEPTED', 'LATE') AND superseded_by IS NULL AND voided_at IS NULL
    """,
    "CREATE INDEX signature_subject ON signature (course_id, subject_id, kind)",
    "CREATE INDEX signature_of_person ON signature (subject_id, id)",
    "CREATE INDEX signature_school ON signature (school_id, id)",
    """
    CREATE INDEX signature_waiting ON signature (reason, t, id)
    WHERE status = 'PENDING' AND superseded_by IS NULL AND voided_at IS NULL
    """,
    """
    CREATE TABLE student_signature (
        signature_id uuid PRIMARY KEY REFERENCES signature,
        uncertainty_ms bigint NOT NULL CHECK (uncertainty_ms >= 0),
        flags text[] NOT NULL,
        has_device boolean NOT NULL,
        claim jsonb -- what a phone said, while nobody could be asked whether it holds
    )
    """,
    "CREATE TABLE teacher_signature (signature_id uuid PRIMARY KEY REFERENCES signature)",
    """
    CREATE TABLE signature_transition (
        signature_id uuid NOT NULL REFERENCES signature,
        n bigint NOT NULL CHECK (n > 0),
        from_status text,
        to_status text NOT NULL,
        reason text NOT NULL,
        note text, -- a human's own words; never leaves in an event
        actor_type text NOT NULL CHECK (actor_type IN ('student', 'teacher', 'admin', 'beacon', 'job')),
        actor_id uuid,
        rule_version integer NOT NULL,
        at timestamptz NOT NULL,
        evidence jsonb NOT NULL,
        salt bytea NOT NULL CHECK (octet_length(salt) = 16),
        digest bytea NOT NULL CHECK (octet_length(digest) = 32),
        PRIMARY KEY (signature_id, n)
    )
    """,
    "REVOKE UPDATE, DELETE, TRUNCATE ON signature_transition FROM attendance_app",
    "REVOKE DELETE, TRUNCATE ON signature, student_signature, teacher_signature FROM attendance_app",
    # Large, and seldom read: kept apart, as long as the signature.
    """
    CREATE TABLE proof (
        signature_id uuid PRIMARY KEY REFERENCES signature,
        bytes bytea NOT NULL
    )
    """,
    "CREATE TABLE course_settled (course_id uuid PRIMARY KEY, settled_at timestamptz NOT NULL)",
    """
    CREATE VIEW judged_signature AS
    SELECT s.*, d.uncertainty_ms, d.flags, d.has_device, d.claim
    FROM signature s LEFT JOIN student_signature d ON d.signature_id = s.id
    """,
    "GRANT SELECT ON judged_signature TO attendance_app",
)


def upgrade() -> None:
    """Make the tables, the log and the nonces."""
    shared = statements_of("infra/sql/seen_nonce.sql")
    for statement in (*SIGNATURES, *shared, *statements("producer_1"), *grants("attendance_app")):
        op.execute(statement)


def downgrade() -> None:
    """Refuse: forward only."""
    raise NotImplementedError("forward only")
