"""Run beacon_svc: `python -m beacon_svc run|migrate|parked …`."""

from beacon_svc.settings import Settings
from beacon_svc.wiring import build, follower, migrate
from infra.process import ServiceProcess
from streams.parked import parked_commands

process = ServiceProcess(name="beacon", settings=Settings, build=build, migrate=migrate)
app = process.app()
app.add_typer(parked_commands(lambda: follower(process.load())), name="parked")

if __name__ == "__main__":
    app()
