"""How the local stack's programs are started, tied to their parent, and disguised from root."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import asyncpg
import psutil
import pytest

from infra.local.children import Child, LocalStackError, Program, spawn
from infra.local.launch import watch
from infra.local.postgres import Disguise, LocalPostgres, other_name, other_user
from infra.local.valkey import LocalValkey

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
# Says so once it opens no more files of its own.
SETTLED = [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)",
]


@pytest.fixture
def folder():
    """A folder that any user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="rollcall-tests-") as name:
        pathlib.Path(name).chmod(0o755)
        yield pathlib.Path(name)


def a_child(folder, command, **more) -> Child:
    return spawn(Program(name="child", command=command, log=folder / "log", **more))


def test_a_child_that_ignores_the_request_to_stop_is_killed(folder):
    child = a_child(folder, STUBBORN)
    child.wait_until(lambda: (folder / "log").read_text() != "", timeout_s=5)

    child.stop(timeout_s=0.1)

    assert child.process.returncode == -signal.SIGKILL


def test_a_child_that_ended_is_reported_with_what_it_said(folder):
    child = a_child(folder, [sys.executable, "-c", "print('no luck')"])

    with pytest.raises(LocalStackError, match=r"child ended.*\n.*no luck"):
        child.wait_until(lambda: False, timeout_s=5)


def test_a_child_that_is_not_ready_in_time_is_reported(folder):
    child = a_child(folder, SLEEP)

    with pytest.raises(LocalStackError, match="child did not become ready"):
        child.wait_until(lambda: False, timeout_s=0.05)

    child.stop()


def test_where_the_kernel_cannot_tie_a_watcher_does(folder):
    with subprocess.Popen(SLEEP) as parent, subprocess.Popen(SLEEP) as target:
        watch(parent.pid, target.pid, signal.SIGTERM)

        parent.kill()
        parent.wait()

        assert target.wait(timeout=5) == -signal.SIGTERM


def test_no_file_of_the_parent_but_those_named_reaches_a_child(folder):
    with (folder / "named").open("w") as named, (folder / "other").open("w"):
        child = a_child(folder, SETTLED, keep_open=(named.fileno(),))
        child.wait_until(lambda: (folder / "log").read_text() != "", timeout_s=5)

        opened = {os.readlink(link) for link in pathlib.Path(f"/proc/{child.pid}/fd").iterdir()}

        child.stop()
    assert str(folder / "named") in opened
    assert str(folder / "other") not in opened


async def select_one(server):
    connection = await asyncpg.connect(server.admin_url)
    try:
        return await connection.fetchval("SELECT 1")
    finally:
        await connection.close()


def plain(_folder):
    return Disguise()


# Root needs one of two, everybody else none.
DISGUISES = [lambda _folder: other_name(), other_user] if os.getuid() == 0 else [plain]


@pytest.mark.slow
@pytest.mark.parametrize("choose", DISGUISES)
@pytest.mark.parametrize("mode", [0o755, 0o700])
async def test_postgresql_runs_as_this_user_also_below_a_closed_folder(folder, mode, choose):
    place = folder / "home"
    place.mkdir(mode)
    server = LocalPostgres(folder=place / "data", log=place / "log", disguise=choose(place / "data"))
    server.start()

    assert await select_one(server) == 1
    assert psutil.Process(server.child.pid).name() == "postgres"

    server.stop()


@pytest.mark.slow
async def test_a_folder_with_blanks_in_its_name_will_do(folder):
    server = LocalValkey(folder=folder / "a b", log=folder / "a b.log")
    server.start()
    server.stop()

    assert (folder / "a b" / "dump.rdb").is_file()
