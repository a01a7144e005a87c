"""Run academics_svc: `python -m academics_svc run|migrate`."""

from academics_svc.settings import Settings
from academics_svc.wiring import build, migrate
from infra.process import ServiceProcess

process = ServiceProcess(name="academics", settings=Settings, build=build, migrate=migrate)
app = process.app()

if __name__ == "__main__":
    app()
