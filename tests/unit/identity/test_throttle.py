"""How often a password may be guessed."""

from datetime import UTC, datetime, timedelta

import pytest

from identity_svc.domain.throttle import FROM_ANYWHERE, FROM_ONE_PLACE, after_try, keys_of, network_of

NINE = datetime(2025, 9, 1, 9, 0, tzinfo=UTC)


def waits(limit, *, tries):
    """Return the minutes a guesser waits before each try, when each is made as early as it may be."""
    made, now, found = None, NINE, []
    for _ in range(tries):
        waited = 0
        while (next_ := after_try(made, limit, now=now)) is None:
            now += timedelta(minutes=1)
            waited += 1
        made = next_
        found.append(waited)
    return found


def test_five_tries_are_free_and_then_each_takes_longer():
    assert waits(FROM_ONE_PLACE, tries=12) == [0, 0, 0, 0, 0, 1, 2, 4, 8, 15, 15, 15]


def test_seventeen_tries_from_everywhere_are_free_and_then_four_an_hour():
    assert waits(FROM_ANYWHERE, tries=20) == [0] * 17 + [15] * 3


def test_tries_are_forgotten_after_a_quiet_while():
    made = None
    for _ in range(5):
        made = after_try(made, FROM_ONE_PLACE, now=NINE)

    assert after_try(made, FROM_ONE_PLACE, now=NINE + timedelta(minutes=16)).count == 6
    assert after_try(made, FROM_ONE_PLACE, now=NINE + timedelta(minutes=16, seconds=1)).count == 1


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", "unknown"),
        ("192.0.2.77, 10.0.0.1", "unknown"),
    ],
)
def test_neighbours_share_a_network(address, network):
    assert network_of(address) == network


def test_tries_are_kept_under_digests_that_tell_nothing():
    keys = keys_of("login:ada@school.example", "192.0.2.77")

    assert sorted(map(len, keys)) == [32, 32]
    assert keys == keys_of("login:ada@school.example", "192.0.2.78")
    assert len(keys.keys() & keys_of("login:ada@school.example", "198.51.100.1").keys()) == 1
    assert not keys.keys() & keys_of("login:alan@school.example", "192.0.2.77").keys()
