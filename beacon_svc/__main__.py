"""Run beacon_svc: `python -m beacon_svc run | migrate`."""

from beacon_svc.settings import Settings
from beacon_svc.wiring import build, migrate
from infra.process import ServiceProcess

process = ServiceProcess(name="beacon", settings=Settings, build=build, migrate=migrate)
app = process.app()

if __name__ == "__main__":
    app()
