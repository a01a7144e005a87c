"""A service with nothing behind it, to start and stop as a process: `python -m` and this module's name."""

import asyncio
from contextlib import asynccontextmanager

import typer

from infra.http_routes import ANYONE, Call, Reply, Route
from infra.process import Parts, ServiceProcess
from infra.settings import ServiceSettings
from tests.integration.infra.doors import Door, doorkeeper


@asynccontextmanager
async def build(_settings):
    """Wire a door that answers, slowly where asked to, and a loop that says when it ends."""

    async def slow(_call: Call):
        typer.echo("begun")
        await asyncio.sleep(0.5)
        return Reply(body={"done": True})

    async def loop(stopping):
        await stopping.wait()
        typer.echo("the loop has ended")

    routes = [Route(method="GET", path="/sleep", handler=slow, who=ANYONE, summary="Sleep"), *Door().routes()]
    yield Parts(routes=routes, doorkeeper=doorkeeper(), loops={"jobs": [loop]})
    typer.echo("everything is closed")


async def migrate(_settings):
    """Have nothing to migrate."""


process = ServiceProcess(name="tiny", settings=ServiceSettings, build=build, migrate=migrate)
app = process.app()

if __name__ == "__main__":
    app()
