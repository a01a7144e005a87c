"""Make the tables of schools, their parts and their courses, with the history of every fact that attendance judges by.

What held at a moment is found by `[recorded_from, recorded_to)`: the time of this database, never given by a client.
"""

from alembic import op

from streams.schema import grants, statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

CLOCK = (
    # The one clock of history rows; tests shift it with rollcall.clock_shift_ms.
    """
    CREATE FUNCTION recorded_now() RETURNS timestamptz LANGUAGE sql VOLATILE
    RETURN clock_timestamp() + make_interval(
        secs => coalesce(nullif(current_setting('rollcall.clock_shift_ms', true), '')::float8, 0) / 1000)
    """,
    # Later than everything recorded of the same row, also when the clock was set back.
    """
    CREATE FUNCTION recorded_after(before timestamptz) RETURNS timestamptz LANGUAGE sql VOLATILE
    RETURN greatest(recorded_now(), before + interval '1 microsecond')
    """,
    # Whether [since, until) holds `at`; without `at`, whether it is what holds now.
    """
    CREATE FUNCTION held_at(since timestamptz, until timestamptz, at timestamptz) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN at IS NULL THEN until = 'infinity' ELSE since <= at AND at < until END
    """,
)
SCHOOLS = (
    """
    CREATE TABLE school (
        id uuid PRIMARY KEY,
        name text NOT NULL,
        retired_at timestamptz,
        request_digest bytea NOT NULL,
        version bigint NOT NULL DEFAULT 1,
        recorded_at timestamptz NOT NULL DEFAULT recorded_now()
    )
    """,
    """
    CREATE TABLE school_preferences (
        id uuid PRIMARY KEY,
        school_id uuid NOT NULL UNIQUE REFERENCES school,
        default_signature_closing_delay_minutes int NOT NULL
            CHECK (default_signature_closing_delay_minutes BETWEEN 0 AND 1440),
        teacher_can_modify_closing_delay boolean NOT NULL,
        students_can_sign_before_teacher boolean NOT NULL,
        enable_flash boolean NOT NULL,
        enable_nfc boolean NOT NULL,
        enable_qr boolean NOT NULL,
        disable_course_modification_from_ui boolean NOT NULL,
        early_open_minutes int NOT NULL CHECK (early_open_minutes BETWEEN 0 AND 1440),
        late_grace_minutes int NOT NULL CHECK (late_grace_minutes BETWEEN 0 AND 1440),
        version bigint NOT NULL DEFAULT 1,
        recorded_at timestamptz NOT NULL DEFAULT recorded_now()
    )
    """,
    """
    CREATE TABLE school_preferences_version (
        preferences_id uuid NOT NULL REFERENCES school_preferences,
        version bigint NOT NULL,
        school_id uuid NOT NULL,
        default_signature_closing_delay_minutes int NOT NULL,
        teacher_can_modify_closing_delay boolean NOT NULL,
        students_can_sign_before_teacher boolean NOT NULL,
        enable_flash boolean NOT NULL,
        enable_nfc boolean NOT NULL,
        enable_qr boolean NOT NULL,
        disable_course_modification_from_ui boolean NOT NULL,
        early_open_minutes int NOT NULL,
        late_grace_minutes int NOT NULL,
        recorded_from timestamptz NOT NULL,
        recorded_to timestamptz NOT NULL DEFAULT 'infinity',
        PRIMARY KEY (preferences_id, version),
        CHECK (recorded_from < recorded_to)
    )
    """,
    """
    CREATE UNIQUE INDEX school_preferences_version_now ON school_preferences_version (school_id)
    WHERE recorded_to = 'infinity'
    """,
    "CREATE INDEX school_preferences_version_school ON school_preferences_version (school_id, recorded_from)",
)
PARTS = (
    """
    CREATE TABLE classroom (
        id uuid PRIMARY KEY,
        school_id uuid NOT NULL REFERENCES school,
        name text NOT NULL,
        retired_at timestamptz,
        request_digest bytea NOT NULL,
        version bigint NOT NULL DEFAULT 1,
        recorded_at timestamptz NOT NULL DEFAULT recorded_now()
    )
    """,
    "CREATE UNIQUE INDEX classroom_name ON classroom (school_id, lower(name)) WHERE retired_at IS NULL",
    """
    CREATE TABLE student_group (
        id uuid PRIMARY KEY,
        school_id uuid NOT NULL REFERENCES school,
        name text NOT NULL,
        retired_at timestamptz,
        request_digest bytea NOT NULL,
        version bigint NOT NULL DEFAULT 1,
        recorded_at timestamptz NOT NULL DEFAULT recorded_now()
    )
    """,
    "CREATE UNIQUE INDEX student_group_name ON student_group (school_id, lower(name)) WHERE retired_at IS NULL",
    """
    CREATE TABLE students_groups (
        group_id uuid NOT NULL REFERENCES student_group,
        student_id uuid NOT NULL,
        recorded_from timestamptz NOT NULL,
        recorded_to timestamptz NOT NULL DEFAULT 'infinity',
        PRIMARY KEY (group_id, student_id, recorded_from),
        CHECK (recorded_from < recorded_to)
    )
    """,
    "CREATE UNIQUE INDEX students_groups_now ON students_groups (group_id, student_id) WHERE recorded_to = 'infinity'",
    "CREATE INDEX students_groups_student ON students_groups (student_id, group_id)",
)
COURSES = (
    """
    CREATE TABLE course (
        id uuid PRIMARY KEY,
        school_id uuid NOT NULL REFERENCES school,
        name text NOT NULL,
        start_at timestamptz NOT NULL,
        end_at timestamptz NOT NULL,
        is_online boolean NOT NULL,
        closing_delay_minutes int CHECK (closing_delay_minutes BETWEEN 0 AND 1440),
        signature_closed_at timestamptz,
        closed_by text CHECK (closed_by IN ('job', 'hand')),
        signing_open_until timestamptz,
        cancelled boolean NOT NULL DEFAULT false,
        request_digest bytea NOT NULL,
        version bigint NOT NULL DEFAULT 1,
        recorded_at timestamptz NOT NULL DEFAULT recorded_now(),
        CHECK (start_at < end_at),
        CHECK ((signature_closed_at IS NULL) = (closed_by IS NULL)),
        CHECK (signing_open_until IS NULL OR signature_closed_at IS NULL)
    )
    """,
    "CREATE INDEX course_school ON course (school_id, id)",
    "CREATE INDEX course_open ON course (start_at) WHERE signature_closed_at IS NULL AND NOT cancelled",
    """
    CREATE INDEX course_closed_by_job ON course (school_id, end_at) WHERE closed_by = 'job' AND NOT cancelled
    """,
    """
    CREATE TABLE course_version (
        course_id uuid NOT NULL REFERENCES course,
        version bigint NOT NULL,
        name text NOT NULL,
        start_at timestamptz NOT NULL,
        end_at timestamptz NOT NULL,
        is_online boolean NOT NULL,
        closing_delay_minutes int,
        signature_closed_at timestamptz,
        closed_by text,
        signing_open_until timestamptz,
        cancelled boolean NOT NULL,
        recorded_from timestamptz NOT NULL,
        recorded_to timestamptz NOT NULL DEFAULT 'infinity',
        PRIMARY KEY (course_id, version),
        CHECK (recorded_from < recorded_to)
    )
    """,
    "CREATE UNIQUE INDEX course_version_now ON course_version (course_id) WHERE recorded_to = 'infinity'",
)
LINKS = (
    """
    CREATE TABLE teachers_courses (
        course_id uuid NOT NULL REFERENCES course,
        teacher_id uuid NOT NULL,
        recorded_from timestamptz NOT NULL,
        recorded_to timestamptz NOT NULL DEFAULT 'infinity',
        PRIMARY KEY (course_id, teacher_id, recorded_from),
        CHECK (recorded_from < recorded_to)
    )
    """,
    """
    CREATE UNIQUE INDEX teachers_courses_now ON teachers_courses (course_id, teacher_id)
    WHERE recorded_to = 'infinity'
    """,
    "CREATE INDEX teachers_courses_teacher ON teachers_courses (teacher_id, course_id)",
    """
    CREATE TABLE courses_student_groups (
        course_id uuid NOT NULL REFERENCES course,
        group_id uuid NOT NULL REFERENCES student_group,
        recorded_from timestamptz NOT NULL,
        recorded_to timestamptz NOT NULL DEFAULT 'infinity',
        PRIMARY KEY (course_id, group_id, recorded_from),
        CHECK (recorded_from < recorded_to)
    )
    """,
    """
    CREATE UNIQUE INDEX courses_student_groups_now ON courses_student_groups (course_id, group_id)
    WHERE recorded_to = 'infinity'
    """,
    "CREATE INDEX courses_student_groups_group ON courses_student_groups (group_id, course_id)",
    """
    CREATE TABLE courses_classrooms (
        course_id uuid NOT NULL REFERENCES course,
        classroom_id uuid NOT NULL REFERENCES classroom,
        recorded_from timestamptz NOT NULL,
        recorded_to timestamptz NOT NULL DEFAULT 'infinity',
        PRIMARY KEY (course_id, classroom_id, recorded_from),
        CHECK (recorded_from < recorded_to)
    )
    """,
    """
    CREATE UNIQUE INDEX courses_classrooms_now ON courses_classrooms (course_id, classroom_id)
    WHERE recorded_to = 'infinity'
    """,
    "CREATE INDEX courses_classrooms_classroom ON courses_classrooms (classroom_id, course_id)",
)
VIEWS = (
    # A course as it is now, with everything it is linked to.
    """
    CREATE VIEW course_now AS
    SELECT c.id, c.school_id, c.name, c.start_at, c.end_at, c.is_online, c.closing_delay_minutes,
           c.signature_closed_at, c.closed_by, c.signing_open_until, c.cancelled, c.version,
           p.default_signature_closing_delay_minutes,
           ARRAY(SELECT l.teacher_id FROM teachers_courses l
                 WHERE l.course_id = c.id AND l.recorded_to = 'infinity') AS teacher_ids,
           ARRAY(SELECT l.group_id FROM courses_student_groups l
                 WHERE l.course_id = c.id AND l.recorded_to = 'infinity') AS group_ids,
           ARRAY(SELECT l.classroom_id FROM courses_classrooms l
                 WHERE l.course_id = c.id AND l.recorded_to = 'infinity') AS classroom_ids
    FROM course c JOIN school_preferences p USING (school_id)
    """,
)
# History is written once: a period may end, nothing else of it may change, and nothing is deleted.
APPEND_ONLY = (
    """
    REVOKE UPDATE, DELETE ON school_preferences_version, course_version, students_groups, teachers_courses,
        courses_student_groups, courses_classrooms FROM academics_app
    """,
    "GRANT UPDATE (recorded_to) ON school_preferences_version TO academics_app",
    "GRANT UPDATE (recorded_to) ON course_version TO academics_app",
    "GRANT UPDATE (recorded_to) ON students_groups TO academics_app",
    "GRANT UPDATE (recorded_to) ON teachers_courses TO academics_app",
    "GRANT UPDATE (recorded_to) ON courses_student_groups TO academics_app",
    "GRANT UPDATE (recorded_to) ON courses_classrooms TO academics_app",
    "REVOKE DELETE ON school, school_preferences, classroom, student_group, course FROM academics_app",
)


def upgrade() -> None:
    """Make everything."""
    made = (*CLOCK, *SCHOOLS, *PARTS, *COURSES, *LINKS, *VIEWS, *APPEND_ONLY)
    for statement in (*made, *statements("producer_1"), *grants("academics_app")):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Migrations go forward only."""
    raise NotImplementedError
