"""Making many accounts by a file, over the REST door."""

import asyncio
import io
import json
from uuid import uuid4

import asyncpg

from identity_svc.commands.imports import import_users
from identity_svc.domain.accounts import Actor
from identity_svc.http_api.imports import CHUNK_COUNT
from identity_svc.ports import Draft
from infra.imported import Imported
from tests.integration.identity.conftest import PASSWORD

CSV, LINES = "text/csv", "application/x-ndjson"
HEAD = "user_type,email,firstname,lastname,student_number,admin_role"


def a_row(n, **changes):
    usual = {"user_type": "student", "email": f"s{n}@school.example", "firstname": "Grace", "lastname": "Hopper"}
    return usual | changes


def lines(*rows):
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode()


async def send(world, token, raw, *, kind=LINES, path="/users/import"):
    """The status, and the lines of the answer or the code of the problem."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
    async with world.client.post(path, data=io.BytesIO(raw), headers=headers) as answer:
        text = await answer.text()
        if answer.status != 200:
            return answer.status, json.loads(text)["code"]
        assert answer.content_type == LINES
        return answer.status, [json.loads(line) for line in text.splitlines()]


def words(answered):
    return [(line["row"], line.get("code", line["status"])) for line in answered[1]]


async def count(world):
    return await world.database.fetchval("SELECT count(*) FROM app_user WHERE email LIKE 's%@school.example'")


async def test_each_row_is_told_of_in_order_and_a_bad_one_harms_no_other(world):
    _, admin = await world.enter("admin")
    taken = await world.add("teacher", email="s7@school.example")
    rows = [
        a_row(1, student_number="N1"),
        a_row(2, email="nobody"),
        a_row(3, student_number="N1"),
        "{",
        a_row(4, user_type="dev"),
        a_row(5, password=PASSWORD),
        a_row(6, user_type="teacher"),
        a_row(7),
        a_row(8, school_id=str(world.school_id)),
        a_row(9, firstname=" "),
    ]

    status, told = await send(world, admin, lines(*rows))

    assert (status, words((status, told))) == (
        200,
        [
            (1, "created"),
            (2, "email_malformed"),
            (3, "student_number_taken"),
            (4, "malformed_json"),
            (5, "forbidden"),
            (6, "malformed_body"),
            (7, "created"),
            (8, "email_taken"),
            (9, "malformed_body"),
            (10, "malformed_body"),
        ],
    )
    assert told[1] == {
        "row": 2,
        "status": "refused",
        "code": "email_malformed",
        "title": "The address is not one this installation takes",
    }
    assert told[5]["fields"] == ["password"]
    assert taken.id not in {line.get("id") for line in told}
    status, made = await world.call("GET", f"/users/{told[0]['id']}", admin)
    assert (made["email"], made["student_number"], made["school_id"]) == (
        "s1@school.example",
        "N1",
        str(world.school_id),
    )


async def test_an_imported_account_is_announced_noted_and_comes_in_by_a_reset(world):
    person, admin = await world.enter("admin")

    _, [told] = await send(world, admin, lines(a_row(1)))

    assert [e[0] for e in await world.announced() if e[2].get("user_id") == told["id"]] == ["identity.user.created.v1"]
    noted = await world.database.fetchrow("SELECT * FROM trail_entry WHERE user_id = $1", told["id"])
    assert (noted["deed"], noted["actor_id"]) == ("user_created", person.id)
    _, reset = await world.call("POST", f"/users/{told['id']}/password-reset", admin)
    body = {"reset_token": reset["reset_token"], "new_password": PASSWORD}
    assert (await world.call("POST", "/auth/password-reset", body=body))[0] == 204
    login = {"email": "s1@school.example", "password": PASSWORD}
    assert (await world.call("POST", "/auth/login", body=login))[0] == 200


async def test_a_file_that_is_sent_again_names_the_same_accounts_and_changes_none(world):
    _, admin = await world.enter("admin")
    first = await send(world, admin, lines(a_row(1), a_row(2), a_row(1)))
    events = len(await world.announced())

    again = await send(world, admin, lines(a_row(1, email="S1@School.Example", firstname="Ada"), a_row(2)))

    assert words(first) == [(1, "created"), (2, "created"), (3, "exists")]
    assert words(again) == [(1, "exists"), (2, "exists")]
    assert [line["id"] for line in again[1]] == [line["id"] for line in first[1][:2]]
    assert len(await world.announced()) == events
    _, kept = await world.call("GET", f"/users/{first[1][0]['id']}", admin)
    assert kept["firstname"] == "Grace"


async def test_an_address_of_another_school_or_type_is_taken(world):
    _, admin = await world.enter("admin")
    await world.add("student", email="s1@school.example", school_id=uuid4())
    await world.add("teacher", email="s2@school.example")

    assert words(await send(world, admin, lines(a_row(1), a_row(2)))) == [(1, "email_taken"), (2, "email_taken")]


async def test_many_rows_are_kept_chunk_by_chunk(world):
    _, admin = await world.enter("admin")
    text = "\r\n".join([HEAD, *(f"student,s{n}@school.example,Grace,Hopper,N{n}," for n in range(CHUNK_COUNT + 1))])

    told = await send(world, admin, b"\xef\xbb\xbf" + text.encode(), kind=f"{CSV}; charset=UTF-8")

    assert words(told) == [(n + 1, "created") for n in range(CHUNK_COUNT + 1)]
    assert await count(world) == CHUNK_COUNT + 1


async def test_two_who_send_the_same_file_at_once_make_each_account_once(world):
    _, admin = await world.enter("admin")
    there, back = [a_row(n) for n in range(5)], [a_row(n) for n in reversed(range(5))]

    one, other = await asyncio.gather(*(send(world, admin, lines(*rows)) for rows in (there, back)))

    made = [{line["id"] for line in told[1] if line["status"] == "created"} for told in (one, other)]
    assert {line["status"] for line in one[1] + other[1]} <= {"created", "exists"}
    assert not made[0] & made[1]
    assert len(made[0] | made[1]) == await count(world) == 5


UNREADABLE = [
    (CSV, HEAD.replace("email", "mail").encode(), 422, "malformed_columns"),
    (CSV, (HEAD + ",password").encode(), 422, "malformed_columns"),
    (CSV, b"", 422, "malformed_columns"),
    (CSV, HEAD.encode() + b'\nstudent,"s1@school.example', 400, "malformed_file"),
    (CSV, HEAD.encode() + b"\nstudent,s1@school.example,Ren\xe9,L,,", 400, "malformed_file"),
    (LINES, lines(a_row(1)) + b"\n\0", 400, "malformed_file"),
    (LINES, b"{}\n" * 10_001, 413, "too_many_rows"),
    ("application/json", lines(a_row(1)), 415, "unsupported_media_type"),
    (f"{CSV}; charset=latin-1", HEAD.encode(), 415, "unsupported_media_type"),
    (LINES, b" " * 2**20 + b" ", 413, "body_too_large"),
]


async def test_a_file_that_cannot_be_read_is_refused_whole(world):
    _, admin = await world.enter("admin")

    for kind, raw, status, code in UNREADABLE:
        assert await send(world, admin, raw, kind=kind) == (status, code)
    assert await count(world) == 0


async def test_a_line_of_a_mebibyte_is_one_row(world):
    _, admin = await world.enter("admin")
    row = json.dumps(a_row(1, firstname="")).encode()
    raw = row.replace(b'""', b'"' + b"x" * (2**20 - len(row)) + b'"')

    assert len(raw) == 2**20
    assert words(await send(world, admin, raw)) == [(1, "malformed_body")]


async def test_who_may_import_for_whom(world):
    _, student = await world.enter("student")
    _, teacher = await world.enter("teacher")
    _, planner = await world.enter("admin", admin_role="planning")
    _, dev = await world.enter("dev")
    other, own = f"/users/import?school_id={uuid4()}", f"/users/import?school_id={world.school_id}"
    row = lines(a_row(1), a_row(2, user_type="admin"))

    assert await send(world, student, row) == await send(world, teacher, row) == (403, "forbidden")
    assert await send(world, planner, row, path=other) == (404, "not_found")
    assert await send(world, dev, row) == (422, "school_id_required")
    assert words(await send(world, planner, row, path=own)) == [(1, "created"), (2, "forbidden")]
    assert words(await send(world, dev, row, path=own)) == [(1, "exists"), (2, "created")]


async def test_rows_that_met_an_outage_are_not_refused_and_the_rest_is_left(world):
    _, admin = await world.enter("admin")
    owner = await asyncpg.connect(world.settings.migrate_database_url.get_secret_value())
    await owner.execute("""
        CREATE FUNCTION fall() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;
        CREATE TRIGGER fall BEFORE INSERT ON app_user FOR EACH ROW WHEN (NEW.email = 's60@school.example')
        EXECUTE FUNCTION fall()
    """)
    rows = [a_row(n) for n in range(120)]

    told = await send(world, admin, lines(*rows))
    await owner.execute("DROP TRIGGER fall ON app_user")
    again = await send(world, admin, lines(*rows))
    await owner.close()

    assert [word for _, word in words(told)] == ["created"] * CHUNK_COUNT + ["database_down"] * (120 - CHUNK_COUNT)
    assert told[1][-1]["status"] == "unanswered"
    assert [word for _, word in words(again)] == ["exists"] * CHUNK_COUNT + ["created"] * (120 - CHUNK_COUNT)


async def test_a_caller_who_goes_away_leaves_what_was_kept_and_the_file_can_be_sent_again(world):
    _, admin = await world.enter("admin")
    raw = lines(*(a_row(n) for n in range(3 * CHUNK_COUNT)))
    headers = {"Authorization": f"Bearer {admin}", "Content-Type": LINES}

    async with world.client.post("/users/import", data=raw, headers=headers) as answer:
        await answer.content.readline()
        answer.close()
    told = await send(world, admin, raw)

    assert words(told)[0] == (1, "exists")
    assert {word for _, word in words(told)} <= {"created", "exists"}
    assert await count(world) == 3 * CHUNK_COUNT


async def test_a_commit_whose_answer_was_lost_is_told_as_made(world):
    usual = {"school_id": world.school_id, "admin_role": None}
    actor = Actor(id=uuid4(), type="admin", session_id=uuid4(), authenticated_at=world.now, **usual)
    draft = Draft(id=uuid4(), type="student", school_id=None, email="s1@x.example", firstname="A", lastname="B")

    first, second = [await import_users([draft], actor=actor, open_books=world.books, now=world.now) for _ in range(2)]

    assert first == second == [Imported(draft.id, is_new=True)]
