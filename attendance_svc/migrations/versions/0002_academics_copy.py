"""Keep a copy of academics with its history, so that attempts are judged and sheets are counted without a call."""

from alembic import op

from streams.schema import statements

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    """
    CREATE TABLE copy_course (
        course_id uuid NOT NULL,
        version bigint NOT NULL,
        recorded_from timestamptz NOT NULL,
        recorded_to timestamptz NOT NULL DEFAULT 'infinity',
        shard smallint NOT NULL,
        school_id uuid NOT NULL,
        start_at timestamptz NOT NULL,
        end_at timestamptz NOT NULL,
        is_online boolean NOT NULL,
        closing_delay_minutes integer,
        signature_closed boolean NOT NULL,
        signature_closed_at timestamptz,
        closed_by text CHECK (closed_by IN ('job', 'hand')),
        signing_open_until timestamptz,
        cancelled boolean NOT NULL,
        teacher_ids uuid[] NOT NULL,
        group_ids uuid[] NOT NULL,
        classroom_ids uuid[] NOT NULL,
        PRIMARY KEY (course_id, version),
        CHECK (recorded_from <= recorded_to)
    )
    """,
    "CREATE UNIQUE INDEX copy_course_current ON copy_course (course_id) WHERE recorded_to = 'infinity'",
    "CREATE INDEX copy_course_ended ON copy_course (recorded_to) WHERE recorded_to < 'infinity'",
    "CREATE INDEX copy_course_shard ON copy_course (shard)",
    # The rooms of each version again, to find the course in a room without looking through the room's past.
    """
    CREATE TABLE copy_course_room (
        classroom_id uuid NOT NULL,
        end_at timestamptz NOT NULL,
        start_at timestamptz NOT NULL,
        course_id uuid NOT NULL,
        version bigint NOT NULL,
        PRIMARY KEY (course_id, version, classroom_id),
        FOREIGN KEY (course_id, version) REFERENCES copy_course ON DELETE CASCADE
    )
    """,
    "CREATE INDEX copy_course_room_end ON copy_course_room (classroom_id, end_at, start_at, course_id, version)",
    """
    CREATE TABLE copy_preferences (
        school_id uuid NOT NULL,
        version bigint NOT NULL,
        recorded_from timestamptz NOT NULL,
        recorded_to timestamptz NOT NULL DEFAULT 'infinity',
        shard smallint NOT NULL,
        preferences_id uuid NOT NULL,
        default_signature_closing_delay_minutes integer NOT NULL,
        teacher_can_modify_closing_delay boolean NOT NULL,
        students_can_sign_before_teacher boolean NOT NULL,
        enable_flash boolean NOT NULL,
        enable_nfc boolean NOT NULL,
        enable_qr boolean NOT NULL,
        disable_course_modification_from_ui boolean NOT NULL,
        early_open_minutes integer NOT NULL,
        late_grace_minutes integer NOT NULL,
        PRIMARY KEY (school_id, version),
        CHECK (recorded_from <= recorded_to)
    )
    """,
    "CREATE UNIQUE INDEX copy_preferences_current ON copy_preferences (school_id) WHERE recorded_to = 'infinity'",
    # The version that the deltas of a group's membership have reached.
    """
    CREATE TABLE copy_group (
        group_id uuid PRIMARY KEY,
        school_id uuid NOT NULL,
        shard smallint NOT NULL,
        version bigint NOT NULL
    )
    """,
    """
    CREATE TABLE copy_membership (
        group_id uuid NOT NULL,
        student_id uuid NOT NULL,
        added_version bigint NOT NULL,
        recorded_from timestamptz NOT NULL,
        recorded_to timestamptz NOT NULL DEFAULT 'infinity',
        shard smallint NOT NULL,
        PRIMARY KEY (group_id, student_id, added_version),
        CHECK (recorded_from <= recorded_to)
    )
    """,
    """
    CREATE UNIQUE INDEX copy_membership_current ON copy_membership (group_id, student_id)
    WHERE recorded_to = 'infinity'
    """,
    "CREATE INDEX copy_membership_student ON copy_membership (student_id)",
)


def upgrade() -> None:
    """Create the tables that the consumer `attendance.copy` fills, and its checkpoint."""
    for statement in (*statements("consumer_1"), *STATEMENTS):
        op.execute(statement)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("forward only")
