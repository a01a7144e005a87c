"""Run Envoy from its wheel, with the configuration of the real edge."""

import importlib.util
import platform
import subprocess
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from infra.envoy.render import Edge, render
from infra.local.children import Child, LocalStackError, Program, spawn
from infra.private_files import write_private

START_TIMEOUT_S = 10.0


@dataclass(slots=True, kw_only=True)
class LocalEnvoy:
    """The edge on a loopback port, its configuration under `folder`."""

    folder: Path
    log: Path
    edge: Edge
    keep_open: tuple[int, ...] = ()
    child: Child | None = field(default=None, init=False)

    def start(self) -> None:
        """Start Envoy and wait until it listens. Call from the main thread.

        Raises: LocalStackError with the end of the log.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self.folder / "envoy.yaml"
        write_private(file, render(self.edge))
        # A base id of its own lets several run on one machine.
        options = ["--use-dynamic-base-id", "--concurrency", "1", "-l", "warn"]
        command: list[str | Path] = [program(), "-c", file, *options]
        self.child = spawn(Program(name="Envoy", command=command, log=self.log, keep_open=self.keep_open))
        self.child.wait_until(self._is_ready, timeout_s=START_TIMEOUT_S)

    def stop(self) -> None:
        """Stop Envoy. Safe to repeat."""
        if self.child is not None:
            self.child.stop()

    def _is_ready(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.edge.admin_port, timeout=1)
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


def validate(file: Path) -> str:
    """Return Envoy's complaints about a configuration file; empty when it would start."""
    checked = subprocess.run(
        [program(), "--mode", "validate", "-c", file, "-l", "error"], capture_output=True, text=True, check=False
    )
    return checked.stderr if checked.returncode else ""


def is_available() -> bool:
    """Return whether this machine has an Envoy in a wheel; where not, the services' own ports serve."""
    return importlib.util.find_spec("envoy") is not None


def program() -> Path:
    """Return Envoy's program in the wheel.

    Raises: LocalStackError when the wheel is not installed or there is none for this machine.
    """
    spec = importlib.util.find_spec("envoy")
    if spec is None or spec.origin is None:
        raise LocalStackError(f"Envoy has no wheel for {platform.system()} on {platform.machine()}")
    return Path(spec.origin).parent / "_bin" / "envoy"
