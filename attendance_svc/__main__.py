"""Run attendance_svc: `python -m attendance_svc run|migrate`."""

from attendance_svc.settings import Settings
from attendance_svc.wiring import build, migrate
from infra.process import ServiceProcess

process = ServiceProcess(name="attendance", settings=Settings, build=build, migrate=migrate)
app = process.app()

if __name__ == "__main__":
    app()
