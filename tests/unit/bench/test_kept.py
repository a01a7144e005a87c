from tests.bench.kept import compare


def test_what_was_promised_and_is_there_once_everywhere_is_complete():
    kept = compare(["a", "b"], standing={"a", "b"}, sealed=["a", "b"], published=["b", "a"])

    assert kept.is_complete
    assert (kept.acknowledged, kept.surplus) == (2, 0)


def test_a_promise_that_is_missing_anywhere_is_noticed_there():
    kept = compare(["a", "b"], standing={"a"}, sealed=["b"], published=[])

    assert (kept.not_standing, kept.not_sealed, kept.not_published) == (1, 1, 2)
    assert not kept.is_complete


def test_an_event_that_was_said_twice_is_noticed():
    assert compare(["a"], standing={"a"}, sealed=["a"], published=["a", "a"]).twice == 1


def test_two_clients_that_were_promised_the_same_signature_are_noticed():
    assert compare(["a", "a"], standing={"a"}, sealed=["a"], published=["a"]).twice == 1


def test_what_stands_though_nobody_was_told_is_counted_but_nothing_lost():
    kept = compare(["a"], standing={"a", "b"}, sealed=["a", "b"], published=["a", "b"])

    assert kept.surplus == 1
    assert kept.is_complete
