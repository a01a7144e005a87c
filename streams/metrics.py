"""What is measured about streams. Lag comes from positions, never from what Redis believes."""

from prometheus_client import Counter, Gauge

PENDING_ROWS = Gauge("streams_pending_rows", "Events that are committed and have no position yet", ["source"])
OLDEST_PENDING_S = Gauge("streams_oldest_pending_seconds", "Age of the oldest event without a position", ["source"])
RELAY_POS = Gauge("streams_relay_pos", "Position that was sealed, or appended", ["source", "shard", "stage"])
RELAY_HALTED = Gauge(
    "streams_relay_halted", "1 while a shard seals nothing and waits for an operator", ["source", "shard"]
)
APPEND_MISMATCH = Counter("streams_append_mismatch", "Streams that ended otherwise than expected", ["source", "kind"])
CONSUMER_LAG_POSITIONS = Gauge(
    "streams_consumer_lag_positions", "Known entries that are not applied yet", ["consumer", "source", "shard"]
)
CONSUMER_LAG_S = Gauge(
    "streams_consumer_lag_seconds", "How much later the newest known entry was sealed", ["consumer", "source", "shard"]
)
CONSUMER_POS = Gauge("streams_consumer_pos", "Position that was applied", ["consumer", "source", "shard"])
AS_OF_AGE_S = Gauge("streams_as_of_age_seconds", "How old a copy is, by its own proof", ["consumer", "source", "shard"])
GAP_FILL = Counter("streams_gap_fill", "Reads from the log instead of the stream", ["consumer", "source", "reason"])
FENCED = Counter("streams_fenced", "Effects refused because another replica had taken over", ["consumer", "source"])
REPAIRS = Counter("streams_repairs", "Copies started anew", ["consumer", "source", "reason"])
PARKED = Gauge("streams_parked", "Events put aside", ["consumer", "source", "shard"])
CONSUMER_HALTED = Gauge("streams_consumer_halted", "1 while a shard is not read", ["consumer", "source", "shard"])
