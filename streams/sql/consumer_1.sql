-- The tables of a service that keeps a copy of another's events. Never edited once released: a change is another file.
-- The last applied entry of each shard, moved in the transaction of its effect and fenced by the epoch.
CREATE TABLE streams_checkpoint (
    consumer text NOT NULL,
    source text NOT NULL,
    shard smallint NOT NULL,
    incarnation uuid,
    pos bigint NOT NULL DEFAULT 0,
    ms bigint NOT NULL DEFAULT 0,
    hash bytea CHECK (octet_length(hash) = 32),
    as_of timestamptz,
    facts_since timestamptz NOT NULL DEFAULT '-infinity',
    owner text,
    epoch bigint NOT NULL DEFAULT 0,
    lease_until timestamptz NOT NULL DEFAULT '-infinity',
    state text NOT NULL DEFAULT 'repair' CHECK (state IN ('running', 'repair', 'halted')),
    reason text,
    PRIMARY KEY (consumer, source, shard),
    CHECK (state <> 'running' OR (incarnation IS NOT NULL AND hash IS NOT NULL))
) WITH (fillfactor = 50);

-- Events that could not be applied, and every later one of the same aggregate. No agg_id: it could not be read.
CREATE TABLE streams_parked (
    consumer text NOT NULL,
    source text NOT NULL,
    shard smallint NOT NULL,
    pos bigint NOT NULL,
    ms bigint NOT NULL,
    agg_id uuid,
    type text,
    body bytea,
    reason text NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    dropped_at timestamptz,
    dropped_why text,
    PRIMARY KEY (consumer, source, shard, pos)
);

CREATE INDEX streams_parked_aggregate ON streams_parked (consumer, source, agg_id) WHERE dropped_at IS NULL;
