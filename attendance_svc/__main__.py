"""Run attendance_svc: `python -m attendance_svc run|migrate|parked …`."""

from attendance_svc.settings import Settings
from attendance_svc.wiring import build, follower, migrate
from infra.process import ServiceProcess
from streams.parked import parked_commands

process = ServiceProcess(name="attendance", settings=Settings, build=build, migrate=migrate)
app = process.app()
app.add_typer(parked_commands(lambda: follower(process.load())), name="parked")

if __name__ == "__main__":
    app()
