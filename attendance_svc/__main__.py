"""Run attendance_svc: `python -m attendance_svc run|migrate|parked …|verify`."""

from attendance_svc.settings import Settings
from attendance_svc.wiring import audit, build, follower, migrate
from infra.process import ServiceProcess
from streams.audit import verify_command
from streams.parked import parked_commands

process = ServiceProcess(name="attendance", settings=Settings, build=build, migrate=migrate)
app = process.app()
app.add_typer(parked_commands(lambda: follower(process.load())), name="parked")
app.command("verify")(verify_command(lambda: audit(process.load())))

if __name__ == "__main__":
    app()
