-- The tables of a service that publishes. Never edited once released: a change is another file.
-- What a service was set up with; its shards can never be counted anew.
CREATE TABLE streams_meta (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    source text NOT NULL,
    shard_count smallint NOT NULL CHECK (shard_count > 0)
);

-- Where the log of each shard stands. closed: everything committed before closed_t is at or below closed_pos.
CREATE TABLE streams_shard (
    shard smallint PRIMARY KEY CHECK (shard >= 0),
    incarnation uuid NOT NULL,
    base_pos bigint NOT NULL DEFAULT 0,
    base_hash bytea NOT NULL CHECK (octet_length(base_hash) = 32),
    last_pos bigint NOT NULL DEFAULT 0 CHECK (last_pos >= base_pos),
    last_ms bigint NOT NULL DEFAULT 0,
    last_hash bytea NOT NULL CHECK (octet_length(last_hash) = 32),
    closed_pos bigint NOT NULL DEFAULT 0,
    closed_t timestamptz
) WITH (fillfactor = 50);

-- Events that are committed and have no position yet. A queue: rows come and go, so it is vacuumed early.
CREATE TABLE streams_pending (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard smallint NOT NULL,
    event_id uuid NOT NULL,
    agg_type text NOT NULL,
    agg_id uuid NOT NULL,
    aggver bigint NOT NULL CHECK (aggver > 0),
    tenant uuid,
    type text NOT NULL,
    body bytea NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (agg_id, aggver)
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000);

CREATE INDEX streams_pending_next ON streams_pending (shard, id);

-- The log of record, a chain of hashes. What an erasure empties may be null.
CREATE TABLE streams_log (
    shard smallint NOT NULL,
    pos bigint NOT NULL,
    sealed_ms bigint NOT NULL,
    event_id uuid,
    agg_type text,
    agg_id uuid,
    aggver bigint,
    tenant uuid,
    type text,
    body bytea,
    salt bytea CHECK (octet_length(salt) = 16),
    commit bytea NOT NULL CHECK (octet_length(commit) = 32),
    prev_hash bytea NOT NULL CHECK (octet_length(prev_hash) = 32),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (shard, pos)
);

CREATE INDEX streams_log_aggregate ON streams_log (agg_id, aggver);

CREATE INDEX streams_log_tenant ON streams_log (tenant, sealed_ms);

CREATE INDEX streams_log_age ON streams_log (shard, sealed_ms, pos);
