"""Each user of Valkey may do its work and nothing else."""

import pytest
import redis.asyncio
from redis.exceptions import NoPermissionError

ADD = "return redis.call('XADD', KEYS[1], '*', 'a', 'b')"
OWN, OWN_MARK, OTHER, FOLLOWED = "{academics:0}:ev", "{academics:0}:wm", "{beacon:0}:ev", "{identity:0}:ev"

# What each user may do and may not do; the second half of every attack is in the other row.
MAY = {
    "relay-academics": [("EVAL", ADD, 1, OWN), ("HSET", OWN_MARK, "pos", 1), ("DEL", OWN, OWN_MARK), ("PING",)],
    "reader-academics": [("XREAD", "STREAMS", FOLLOWED, 0), ("HMGET", "{identity:0}:wm", "pos"), ("XLEN", FOLLOWED)],
    "reader-attendance": [("XREAD", "STREAMS", OWN, 0), ("XRANGE", "{attendance:3}:ev", "-", "+")],
    "academics": [("EVAL", ADD, 1, OWN), ("XREAD", "STREAMS", FOLLOWED, 0), ("PUBLISH", "{academics:0}:wake", "")],
    "analytics": [("XRANGE", OWN, "-", "+"), ("XREAD", "STREAMS", OTHER, 0)],
    "trimmer-academics": [("XTRIM", OWN, "MINID", 0)],
    "ops": [("XGROUP", "CREATE", OWN, "pool", "$", "MKSTREAM")],
    "default": [("FLUSHALL",)],
}
DESTRUCTIVE = [("FLUSHALL",), ("CONFIG", "GET", "*"), ("KEYS", "*"), ("ACL", "LIST"), ("XSETID", OWN, "9-9")]
MAY_NOT = {
    "relay-academics": [("EVAL", ADD, 1, OTHER), ("XADD", FOLLOWED, "*", "a", "b"), ("XTRIM", OWN, "MAXLEN", 0)],
    "reader-academics": [("XADD", FOLLOWED, "*", "a", "b"), ("XREAD", "STREAMS", OTHER, 0), ("DEL", FOLLOWED)],
    "reader-attendance": [("XADD", "{attendance:3}:ev", "*", "a", "b"), ("EVAL", ADD, 1, OWN)],
    "academics": [("XADD", FOLLOWED, "*", "a", "b"), ("XREAD", "STREAMS", OTHER, 0), ("XTRIM", OWN, "MAXLEN", 0)],
    "analytics": [("XADD", OWN, "*", "a", "b"), ("HMGET", OWN_MARK, "pos"), ("DEL", OWN)],
    "trimmer-academics": [("XTRIM", OTHER, "MINID", 0), ("XADD", OWN, "*", "a", "b"), ("DEL", OWN)],
    "ops": [("XADD", OWN, "*", "a", "b"), ("DEL", OWN)],
}


@pytest.mark.parametrize(("user", "command"), [(user, command) for user in MAY for command in MAY[user]])
async def test_a_user_may_do_its_work(valkey, user, command):
    async with redis.asyncio.Redis.from_url(valkey.url(user)) as client:
        await client.execute_command(*command)


@pytest.mark.parametrize(
    ("user", "command"), [(user, command) for user in MAY_NOT for command in MAY_NOT[user] + DESTRUCTIVE]
)
async def test_a_user_may_do_nothing_else(valkey, user, command):
    async with redis.asyncio.Redis.from_url(valkey.url(user)) as client:
        with pytest.raises(redis.exceptions.RedisError) as refusal:
            await client.execute_command(*command)

    # Inside a script the same refusal comes as the script's error.
    assert isinstance(refusal.value, NoPermissionError) or "ACL failure in script" in str(refusal.value)


async def test_a_consumer_proves_that_it_is_at_the_end_in_one_transaction(valkey):
    async with redis.asyncio.Redis.from_url(valkey.url("default")) as client:
        await client.xadd(FOLLOWED, {"a": "b"})

    async with redis.asyncio.Redis.from_url(valkey.url("academics")) as client:
        pipe = client.pipeline(transaction=True)
        pipe.xread({FOLLOWED: "0"}).xinfo_stream(FOLLOWED).hmget("{identity:0}:wm", "pos")
        entries, info, mark = await pipe.execute()

    assert (len(entries), info["length"] > 0, mark) == (1, True, [None])


async def test_without_a_password_nobody_comes_in(valkey):
    async with redis.asyncio.Redis(port=valkey.port) as client:
        with pytest.raises(redis.exceptions.AuthenticationError):
            await client.ping()


def test_the_acl_file_holds_no_password(valkey):
    text = (valkey.folder / "users.acl").read_text()

    passwords = [file.read_text() for file in (valkey.folder / "passwords").iterdir()]
    assert len(passwords) == 19
    assert not any(password in text for password in passwords)
