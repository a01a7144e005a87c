"""Run identity_svc: `python -m identity_svc run | migrate | bootstrap | revoke-key`."""

from identity_svc.settings import Settings
from identity_svc.wiring import build, migrate
from identity_svc.wiring.cli import add_commands
from infra.process import ServiceProcess

process = ServiceProcess(name="identity", settings=Settings, build=build, migrate=migrate)
app = add_commands(process.app(), process)

if __name__ == "__main__":
    app()
