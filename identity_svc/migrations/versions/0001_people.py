"""Keep people, their credentials, sessions and devices, and the log that announces what becomes of them."""

from alembic import op

from infra.migrate import statements_of
from streams.schema import grants, statements

revision = "0001"
down_revision = None

TABLES = """
-- A person. Retired rows stay, because other services refer to them.
CREATE TABLE app_user (
    id uuid PRIMARY KEY,
    user_type text NOT NULL CHECK (user_type IN ('student', 'teacher', 'admin', 'dev')),
    school_id uuid,
    email text NOT NULL CHECK (length(email) <= 254),
    firstname text NOT NULL CHECK (length(firstname) BETWEEN 1 AND 200),
    lastname text NOT NULL CHECK (length(lastname) BETWEEN 1 AND 200),
    disabled_at timestamptz,
    retired_at timestamptz,
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    created_at timestamptz NOT NULL,
    CHECK ((user_type = 'dev') = (school_id IS NULL)),
    UNIQUE (id, user_type)
);
CREATE UNIQUE INDEX app_user_email ON app_user (lower(email)) WHERE retired_at IS NULL;
CREATE INDEX app_user_school ON app_user (school_id, id) WHERE retired_at IS NULL;

-- What each type of person has beyond that. The type in the key keeps a person in the one table that fits.
-- school_id and is_live repeat app_user's: a number is one student's among those of the school who are not retired.
CREATE TABLE student (
    user_id uuid PRIMARY KEY,
    user_type text NOT NULL DEFAULT 'student' CHECK (user_type = 'student'),
    school_id uuid NOT NULL,
    student_number text CHECK (length(student_number) BETWEEN 1 AND 200),
    is_live boolean NOT NULL DEFAULT true,
    FOREIGN KEY (user_id, user_type) REFERENCES app_user (id, user_type)
);
CREATE UNIQUE INDEX student_number ON student (school_id, student_number) WHERE is_live;
CREATE TABLE teacher (
    user_id uuid PRIMARY KEY,
    user_type text NOT NULL DEFAULT 'teacher' CHECK (user_type = 'teacher'),
    FOREIGN KEY (user_id, user_type) REFERENCES app_user (id, user_type)
);
CREATE TABLE administrator (
    user_id uuid PRIMARY KEY,
    user_type text NOT NULL DEFAULT 'admin' CHECK (user_type = 'admin'),
    admin_role text CHECK (admin_role IN ('planning', 'absence', 'manager')),
    FOREIGN KEY (user_id, user_type) REFERENCES app_user (id, user_type)
);
CREATE TABLE developer (
    user_id uuid PRIMARY KEY,
    user_type text NOT NULL DEFAULT 'dev' CHECK (user_type = 'dev'),
    FOREIGN KEY (user_id, user_type) REFERENCES app_user (id, user_type)
);
CREATE VIEW account AS
SELECT u.id, u.user_type, u.school_id, u.email, u.firstname, u.lastname, s.student_number, a.admin_role,
       u.disabled_at, u.retired_at, u.version, u.created_at
FROM app_user u
LEFT JOIN student s ON s.user_id = u.id
LEFT JOIN administrator a ON a.user_id = u.id;

-- Apart from app_user, so that no list of people ever reads a hash.
CREATE TABLE credential (
    user_id uuid PRIMARY KEY REFERENCES app_user (id),
    password_hash text, -- PHC string
    changed_at timestamptz NOT NULL
);
CREATE TABLE password_reset (
    user_id uuid PRIMARY KEY REFERENCES app_user (id),
    token_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    expires_at timestamptz NOT NULL
);
CREATE TABLE login_try (
    key bytea PRIMARY KEY CHECK (octet_length(key) = 32), -- SHA-256 of the account's address and the network
    try_count integer NOT NULL CHECK (try_count >= 0),
    last_at timestamptz NOT NULL
);
CREATE INDEX login_try_age ON login_try (last_at);

-- One login on one device. counter: of the refresh token that is good now.
CREATE TABLE session (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES app_user (id),
    counter bigint NOT NULL CHECK (counter >= 0),
    authenticated_at timestamptz NOT NULL,
    rotated_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    idle_expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_reason text,
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
);
CREATE INDEX session_live ON session (user_id, authenticated_at) WHERE revoked_at IS NULL;
CREATE INDEX session_age ON session (expires_at);

-- One active device per student and one student per device and key. version: counts the events about it.
CREATE TABLE device (
    id uuid PRIMARY KEY,
    student_id uuid NOT NULL REFERENCES student (user_id),
    kid text NOT NULL CHECK (kid ~ '^[0-9a-f]{16}$'),
    public_key bytea NOT NULL CHECK (octet_length(public_key) <= 128),
    bound_at timestamptz NOT NULL,
    unbound_at timestamptz,
    unbound_reason text,
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    CHECK ((unbound_at IS NULL) = (unbound_reason IS NULL))
);
CREATE UNIQUE INDEX device_of_student ON device (student_id) WHERE unbound_at IS NULL;
CREATE UNIQUE INDEX device_key ON device (kid) WHERE unbound_at IS NULL;
CREATE INDEX device_latest ON device (student_id, bound_at);
CREATE TABLE device_challenge (
    student_id uuid PRIMARY KEY REFERENCES student (user_id),
    device_id uuid NOT NULL,
    nonce bytea NOT NULL CHECK (octet_length(nonce) = 32),
    expires_at timestamptz NOT NULL
);

-- Who did what to whose account. Only added to.
CREATE TABLE trail_entry (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    actor_type text NOT NULL,
    actor_id uuid,
    deed text NOT NULL,
    user_id uuid NOT NULL REFERENCES app_user (id),
    school_id uuid,
    reason text,
    request_id text
);
CREATE INDEX trail_entry_user ON trail_entry (user_id, at);
REVOKE UPDATE, DELETE, TRUNCATE ON trail_entry FROM identity_app;
REVOKE DELETE ON app_user, student, teacher, administrator, developer, device FROM identity_app;
"""

# state_since: how long a key has been what it is; version: counts the events about it.
SIGNING_KEY = """
ALTER TABLE signing_key
    ADD COLUMN state_since timestamptz NOT NULL DEFAULT clock_timestamp(),
    ADD COLUMN version integer NOT NULL DEFAULT 0
"""


def upgrade() -> None:
    """Create everything."""
    connection = op.get_bind()
    code = "\n".join(line for line in TABLES.splitlines() if not line.startswith("--"))
    own = [statement for statement in code.split(";") if statement.strip()]
    streams = [*statements("producer_1"), *grants("identity_app")]
    for statement in [*statements_of("infra/sql/signing_key.sql"), SIGNING_KEY, *own, *streams]:
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Refuse: revisions go forward only."""
    raise NotImplementedError
