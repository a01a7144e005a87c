import json

from tests.bench.proofs import Line, Piece, singles
from tests.bench.schools import plan_schools


def a_room(codes):
    return plan_schools(origin="https://bench", codes=[codes]).rooms[0]


def test_a_line_signs_every_code_in_order_and_chains_the_proofs():
    room = a_room(6)
    numbers = [code.number for code in room.codes]

    bodies = [json.loads(body) for body in Line(room, Piece(name="pairs", per_request=2, requests=3))]

    proofs = [proof for body in bodies for proof in body["proofs"]]
    assert [(proof["seq"], proof["code"]) for proof in proofs] == list(enumerate(numbers, start=1))
    assert len({proof["prev"] for proof in proofs}) == 6


def test_a_proof_by_itself_is_sent_as_it_is():
    (body,) = Line(a_room(1), singles(1))

    assert json.loads(body)["seq"] == 1


def test_what_was_never_sent_is_signed_anew_as_if_nothing_had_been():
    room = a_room(6)
    numbers = [code.number for code in room.codes]
    line = Line(room, Piece(name="pairs", per_request=2, requests=3))
    sent = json.loads(next(iter(line)))["proofs"]

    line.forget_unsent()
    again = [json.loads(body) for body in Line(room, singles(4))]

    assert [proof["code"] for proof in (*sent, *again)] == numbers
    assert [proof["seq"] for proof in again] == [3, 4, 5, 6]


def test_a_line_that_was_worked_off_leaves_nothing_to_take_back():
    room = a_room(2)
    line = Line(room, singles(2))
    assert len(list(line)) == 2

    line.forget_unsent()

    assert (room.beacon.seq, len(room.codes)) == (2, 0)
