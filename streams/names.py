"""What things are called in Redis, and which shard a school belongs to.

| key | kind | holds |
|---|---|---|
| `{academics:3}:ev` | stream | the newest entries of shard 3 of academics' log; ids are `<sealed ms>-<position>` |
| `{academics:3}:wm` | hash | `pos`, `t_us`, `incarnation`: everything committed before t is at or below pos |
"""

from uuid import UUID
from zlib import crc32


def stream_key(source: str, shard: int) -> str:
    """Return the key of a shard's stream. One hash tag per shard, so a cluster keeps its keys together."""
    return f"{{{source}:{shard}}}:ev"


def watermark_key(source: str, shard: int) -> str:
    """Return the key of a shard's watermark."""
    return f"{{{source}:{shard}}}:wm"


def shard_of(school_id: UUID | None, shard_count: int) -> int:
    """Return the shard of a school's events; what has no school is in shard 0.

    An aggregate never changes its school, so it never changes its shard.
    """
    return 0 if school_id is None else crc32(str(school_id).encode()) % shard_count
