"""Let a signature cost less: its parts come as one row, and are not looked up in the statement that writes them."""

from alembic import op

revision = "0005"
down_revision = "0004"

STATEMENTS = (
    # These are written by the statement that writes the signature, or under its lock, and the service may delete none
    # of them; `verify` finds steps whose signature is not there.
    "ALTER TABLE student_signature DROP CONSTRAINT student_signature_signature_id_fkey",
    "ALTER TABLE teacher_signature DROP CONSTRAINT teacher_signature_signature_id_fkey",
    "ALTER TABLE proof DROP CONSTRAINT proof_signature_id_fkey",
    "ALTER TABLE signature_transition DROP CONSTRAINT signature_transition_signature_id_fkey",
    # A new signature with its subtype, its proof and its first step, as it is handed over. A type of its own, so that
    # what runs goes on while a table gets a column.
    """
    CREATE TYPE added_signature AS (
        id uuid,
        school_id uuid,
        course_id uuid,
        kind text,
        subject_id uuid,
        status text,
        reason text,
        method text,
        t timestamptz,
        received_at timestamptz,
        rule_version integer,
        announced bigint,
        idempotency_key text,
        digest bytea,
        beacon_id uuid,
        classroom_id uuid,
        superseded_by uuid,
        judged_by text,
        judged_at timestamptz,
        uncertainty_ms bigint,
        flags text[],
        has_device boolean,
        claim jsonb,
        proof bytea,
        note text,
        actor_type text,
        actor_id uuid,
        at timestamptz,
        evidence jsonb,
        salt bytea,
        step_digest bytea
    )
    """,
)


def upgrade() -> None:
    """Drop the keys and create the type."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("forward only")
