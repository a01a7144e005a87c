"""Keep beacons with their keys, rooms and clocks, flash codes, and every proof that was ever acknowledged.

Times are those of the service's Clock, so that rooms and codes compare with the effective times of proofs.
"""

from alembic import op

from infra.migrate import statements_of
from streams.schema import grants, statements

revision = "0001"
down_revision = None

BEACONS = (
    """
    CREATE TABLE beacon (
        id uuid PRIMARY KEY,
        school_id uuid NOT NULL,
        serial text NOT NULL UNIQUE CHECK (serial ~ '^[A-Za-z0-9-]{4,64}$'), -- also in NFC links, so for ever
        classroom_id uuid,
        nfc_profile text NOT NULL CHECK (nfc_profile IN ('none', 'totp-v1')),
        totp_key_sealed bytea NOT NULL,
        totp_required boolean NOT NULL,
        version bigint NOT NULL DEFAULT 1,
        created_at timestamptz NOT NULL,
        retired_at timestamptz,
        CHECK (retired_at IS NULL OR classroom_id IS NULL)
    )
    """,
    "CREATE INDEX beacon_school ON beacon (school_id, id)",
    "CREATE INDEX beacon_classroom ON beacon (classroom_id) WHERE classroom_id IS NOT NULL",
    """
    CREATE TABLE beacon_key (
        beacon_id uuid NOT NULL REFERENCES beacon,
        kid text NOT NULL UNIQUE CHECK (kid ~ '^[0-9a-f]{16}$'), -- two beacons with one key are a clone
        spki bytea NOT NULL,
        not_before timestamptz NOT NULL,
        not_after timestamptz,
        revoked_at timestamptz,
        ack_seq bigint NOT NULL DEFAULT 0 CHECK (ack_seq >= 0), -- every proof up to here is stored or given up
        PRIMARY KEY (beacon_id, kid)
    )
    """,
    """
    CREATE TABLE beacon_assignment (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        beacon_id uuid NOT NULL REFERENCES beacon,
        classroom_id uuid NOT NULL,
        assigned_from timestamptz NOT NULL,
        assigned_to timestamptz,
        CHECK (assigned_to >= assigned_from)
    )
    """,
    "CREATE INDEX beacon_assignment_beacon ON beacon_assignment (beacon_id, assigned_from)",
    "CREATE UNIQUE INDEX beacon_assignment_current ON beacon_assignment (beacon_id) WHERE assigned_to IS NULL",
    """
    CREATE TABLE beacon_anchor ( -- what a beacon's clocks showed at a time of ours
        id uuid PRIMARY KEY,
        beacon_id uuid NOT NULL REFERENCES beacon,
        boot bigint NOT NULL,
        uptime_ms bigint NOT NULL,
        told_at timestamptz NOT NULL, -- by the beacon
        server_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX beacon_anchor_boot ON beacon_anchor (beacon_id, boot, uptime_ms)",
    "CREATE INDEX beacon_anchor_latest ON beacon_anchor (beacon_id, server_at DESC)",
    "CREATE INDEX beacon_anchor_age ON beacon_anchor (server_at)",
    """
    CREATE TABLE beacon_telemetry ( -- the newest report of each beacon
        beacon_id uuid PRIMARY KEY REFERENCES beacon,
        received_at timestamptz NOT NULL,
        firmware text,
        boot bigint NOT NULL,
        uptime_ms bigint NOT NULL,
        queued_count bigint NOT NULL,
        misread_count bigint NOT NULL,
        battery_mv bigint
    )
    """,
)
PROOFS = (
    """
    CREATE TABLE flash_code (
        id uuid PRIMARY KEY,
        code integer NOT NULL CHECK (code >= 0 AND code < 134217728), -- 27 bits
        school_id uuid NOT NULL,
        student_id uuid NOT NULL,
        device_id uuid NOT NULL,
        course_id uuid NOT NULL,
        issued_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        free_at timestamptz NOT NULL, -- the same number may be issued again
        redeemed_by uuid,
        redeemed_room uuid,
        CHECK ((redeemed_by IS NULL) = (redeemed_room IS NULL)),
        -- The built-in range types carry this; it needs no extension.
        EXCLUDE USING gist (int4range(code, code, '[]') WITH &&, tstzrange(issued_at, free_at) WITH &&)
    )
    """,
    "CREATE INDEX flash_code_number ON flash_code (code, issued_at)",
    "CREATE INDEX flash_code_student ON flash_code (student_id, issued_at)",
    "CREATE INDEX flash_code_age ON flash_code (issued_at)",
    """
    CREATE TABLE proof (
        id uuid PRIMARY KEY,
        school_id uuid NOT NULL,
        beacon_id uuid NOT NULL REFERENCES beacon,
        kid text NOT NULL,
        seq bigint NOT NULL CHECK (seq > 0),
        message bytea NOT NULL, -- as the beacon signed it
        sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
        signature text NOT NULL, -- low s
        received_at timestamptz NOT NULL,
        proved_at timestamptz NOT NULL,
        uncertainty_ms bigint, -- null: unknown
        classroom_id uuid,
        code_id uuid,
        course_id uuid,
        student_id uuid,
        acting_school_id uuid,
        flags text[] NOT NULL,
        state text NOT NULL CHECK (state IN ('accepted', 'held', 'rejected')),
        reason text NOT NULL,
        signature_id uuid,
        signature_status text,
        try_at timestamptz, -- when a held proof is looked at again; null: a human must
        try_count integer NOT NULL DEFAULT 0,
        version bigint NOT NULL DEFAULT 1,
        UNIQUE (beacon_id, kid, seq),
        CHECK (state <> 'accepted' OR signature_id IS NOT NULL),
        CHECK (state = 'held' OR try_at IS NULL)
    )
    """,
    "CREATE INDEX proof_due ON proof (try_at) WHERE try_at IS NOT NULL",
    "CREATE INDEX proof_school ON proof (school_id, received_at)",
)


def upgrade() -> None:
    """Make every table, the log's included."""
    shared = [*statements_of("infra/sql/seen_nonce.sql"), *statements_of("infra/sql/signing_key.sql")]
    for statement in (*BEACONS, *PROOFS, *shared, *statements("producer_1"), *grants("beacon_app")):
        op.execute(statement)
    # Proofs are evidence: kept, never removed by the service.
    op.execute("REVOKE DELETE ON proof, beacon, beacon_key, beacon_assignment FROM beacon_app")


def downgrade() -> None:
    """Refuse: schemas only go forward."""
    raise NotImplementedError
