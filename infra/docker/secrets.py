"""Make the passwords, keys and certificates that compose.yaml asks for: `python -m infra.docker.secrets FOLDER`.

Then: `docker compose --env-file FOLDER/.env up`. Run again, it keeps what is there and renews certificates.
"""

import base64
import os
import secrets
import sys
from pathlib import Path

from infra.certs import renew
from infra.envoy.routes import SERVICES
from infra.local.passwords import Passwords
from infra.local.valkey_acl import acl
from infra.private_files import kept, write_private

KEY_BYTES = 32
# The user of the image, for a folder that root makes; otherwise the containers run as the one who made it.
IMAGE_USER = 10_001
ORIGIN = "https://localhost:8443"


def make(folder: Path) -> None:
    """Fill `folder`. Safe to repeat."""
    folder = folder.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    renew(folder / "certificates")
    # Another authority: who may reach the edge from outside is not thereby a service.
    renew(folder / "edge", holders=["localhost"])
    for service in SERVICES:
        kept(folder / "keys" / service, base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())
    users = folder / "valkey-users.acl"
    write_private(users, acl(Passwords(folder / "passwords" / "valkey")))
    # Valkey's image runs as a user of its own. The file holds hashes of random passwords of 192 bits.
    users.chmod(0o644)
    user = os.getuid() or IMAGE_USER
    write_private(folder / ".env", "".join(f"{name}={value}\n" for name, value in variables(folder, user).items()))
    if os.getuid() == 0:
        for file in folder.rglob("*"):
            os.chown(file, user, user)


def variables(folder: Path, user: int) -> dict[str, str]:
    """Return the variables of compose.yaml."""
    postgres, valkey = Passwords(folder / "passwords" / "postgres"), Passwords(folder / "passwords" / "valkey")
    found = {
        "ROLLCALL_SECRETS": str(folder),
        "ROLLCALL_USER": f"{user}:{user}",
        "PUBLIC_ORIGIN": ORIGIN,
        "POSTGRES_PASSWORD": postgres.of("postgres"),
    }
    for service in SERVICES:
        for role in ("migrate", "app"):
            found[f"{service}_{role}_password".upper()] = postgres.of(f"{service}_{role}")
        found[f"{service}_redis_password".upper()] = valkey.of(service)
    return found


if __name__ == "__main__":
    make(Path(sys.argv[1]))
