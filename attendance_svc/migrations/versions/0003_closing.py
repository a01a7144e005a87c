"""Remember which courses are to be closed and when, and what was published about who was there."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    """
    CREATE TABLE course_closing (
        course_id uuid PRIMARY KEY,
        school_id uuid NOT NULL,
        shard smallint NOT NULL,
        state text NOT NULL CHECK (state IN ('armed', 'firing', 'done', 'cancelled')),
        due_at timestamptz NOT NULL,
        next_at timestamptz NOT NULL,
        attempts integer NOT NULL DEFAULT 0,
        last_error text
    ) WITH (fillfactor = 70)
    """,
    "CREATE INDEX course_closing_next ON course_closing (next_at) WHERE state IN ('armed', 'firing')",
    "CREATE INDEX course_closing_school ON course_closing (school_id) WHERE state IN ('armed', 'firing')",
    """
    CREATE TABLE sheet (
        course_id uuid PRIMARY KEY,
        school_id uuid NOT NULL,
        shard smallint NOT NULL,
        version bigint NOT NULL DEFAULT 0,
        is_final boolean NOT NULL DEFAULT false,
        settled_end_at timestamptz,
        look_at timestamptz NOT NULL,
        next_at timestamptz NOT NULL DEFAULT '-infinity',
        expected integer,
        accepted integer,
        late integer,
        pending integer,
        refused integer,
        absent_ids uuid[],
        provisional boolean,
        CHECK (version = 0 OR expected = accepted + late + pending + cardinality(absent_ids))
    ) WITH (fillfactor = 70)
    """,
    "CREATE INDEX sheet_look ON sheet (shard, look_at) WHERE look_at < 'infinity'",
    # Signatures that changed after their sheet was published. Only added to by those who sign, so nobody waits.
    """
    CREATE TABLE sheet_change (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        course_id uuid NOT NULL
    )
    """,
    "CREATE INDEX sheet_change_course ON sheet_change (course_id)",
)


def upgrade() -> None:
    """Create the timers, the sheets and the marks of what changed on them."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("forward only")
