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
READER = "+multi +exec +discard +xread +xrange +xrevrange +xlen +xinfo|stream +hmget"


def acl(passwords: Passwords) -> str:
    """Return the text of an ACL file; it holds hashes, never passwords."""
    rights = {"default": "~* &* +@all", "analytics": f"%R~*:ev {READER} {GREETING}"}
    for service in SERVICES:
        own = f"~{{{service}:*}}:ev ~{{{service}:*}}:wm &{{{service}:*}}:wake"
        read = " ".join(f"%R~{{{source}:*}}:ev %R~{{{source}:*}}:wm" for source in SOURCES_BY_READER[service])
        rights[f"relay-{service}"] = f"{own} {RELAY} {GREETING}"
        rights[f"reader-{service}"] = f"{read} {READER} {GREETING}"
    return "".join(f"user {user} on #{digest(passwords.of(user))} {may}\n" for user, may in rights.items())


def digest(password: str) -> str:
    """Return the form in which an ACL file keeps a password."""
    return hashlib.sha256(password.encode()).hexdigest()
