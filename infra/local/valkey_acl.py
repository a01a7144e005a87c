"""Who may do what in Valkey: one line per user, exact keys, nothing by default.

Keys: `{<service>:<shard>}:ev` a stream, `:wm` its watermark, and the channel `:wake` of its relay.
"""

import hashlib

from infra.local.passwords import Passwords

SERVICES = ("identity", "academics", "attendance", "beacon")
# The streams a service reads: those it copies or follows.
SOURCES_BY_READER: dict[str, tuple[str, ...]] = {
    "identity": ("identity",),
    "academics": ("identity",),
    "attendance": ("identity", "academics", "attendance"),
    "beacon": ("identity", "academics"),
}
GREETING = "+ping +hello +auth +client|setinfo +client|setname"
# XADD alone can empty a stream (MAXLEN 0): only the relay of the service that owns the stream has it.
RELAY = "+eval +evalsha +script|load +xadd +xinfo|stream +exists +hset +hget +del +publish +subscribe +unsubscribe"
OPS = "+xgroup|create +xread +xrange +xrevrange +xlen +xinfo|stream"
READER = "+multi +exec +discard +xread +xrange +xrevrange +xlen +xinfo|stream +hmget"


def acl(passwords: Passwords) -> str:
    """Return the text of an ACL file; it holds hashes, never passwords.

    `<service>` may do what a whole service does; `relay-`, `reader-` and `trimmer-` are for parts that run alone.
    """
    rights = {"default": "~* &* +@all", "analytics": f"%R~*:ev {READER} {GREETING}", "ops": f"~*:ev {OPS} {GREETING}"}
    for service in SERVICES:
        relay, reader = relay_rights(service), reader_rights(service)
        rights[f"relay-{service}"] = f"{relay} {GREETING}"
        rights[f"reader-{service}"] = f"{reader} {GREETING}"
        rights[f"trimmer-{service}"] = f"~{{{service}:*}}:ev +xtrim {GREETING}"
        # A selector, in brackets, is a second set of rights: reading what others write gives no right to write it.
        rights[service] = f"{relay} {GREETING} ({reader})"
    return "".join(f"user {user} on #{digest(passwords.of(user))} {may}\n" for user, may in rights.items())


def relay_rights(service: str) -> str:
    """Return the rights of the relay, on the service's own keys."""
    return f"~{{{service}:*}}:ev ~{{{service}:*}}:wm &{{{service}:*}}:wake {RELAY}"


def reader_rights(service: str) -> str:
    """Return the rights of the consumers, on the streams that the service reads."""
    keys = (f"%R~{{{source}:*}}:ev %R~{{{source}:*}}:wm" for source in SOURCES_BY_READER[service])
    return f"{' '.join(keys)} {READER}"


def digest(password: str) -> str:
    """Return the form in which an ACL file keeps a password."""
    return hashlib.sha256(password.encode()).hexdigest()
