"""The part of a URL that names a calendar: read as it was made, and made by nobody else."""

import base64
from dataclasses import replace
from uuid import UUID

import pytest

from academics_svc.domain import CalendarFeeds, CalendarOwner

OWNER = CalendarOwner(user_id=UUID(int=1), school_id=UUID(int=2), kind="student", counter=0)
FEEDS = CalendarFeeds(b"k" * 32)


@pytest.mark.parametrize("owner", [OWNER, replace(OWNER, kind="teacher"), replace(OWNER, counter=2**32 - 1)])
def test_a_feed_says_whose_it_is(owner):
    assert FEEDS.read(FEEDS.feed_of(owner)) == owner
    assert FEEDS.feed_of(owner) == FEEDS.feed_of(owner)


def test_feeds_of_different_owners_differ():
    owners = [
        OWNER,
        replace(OWNER, kind="teacher"),
        replace(OWNER, counter=1),
        replace(OWNER, school_id=UUID(int=3)),
        replace(OWNER, user_id=UUID(int=4)),
    ]

    assert len({FEEDS.feed_of(owner) for owner in owners}) == len(owners)


def test_no_bit_can_be_changed():
    feed = FEEDS.feed_of(OWNER)
    raw = base64.urlsafe_b64decode(feed + "=" * (-len(feed) % 4))

    for place in range(len(raw) * 8):
        forged = bytearray(raw)
        forged[place // 8] ^= 1 << place % 8
        assert FEEDS.read(base64.urlsafe_b64encode(forged).decode().rstrip("=")) is None


@pytest.mark.parametrize(
    "change", [lambda f: "", lambda f: f[:-1], lambda f: f + "A", lambda f: f * 2, lambda f: "é" + f]
)
def test_what_is_no_feed_is_nobodys(change):
    assert FEEDS.read(change(FEEDS.feed_of(OWNER))) is None


def test_a_feed_of_another_key_is_nobodys():
    assert CalendarFeeds(b"l" * 32).read(FEEDS.feed_of(OWNER)) is None
