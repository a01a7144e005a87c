"""The bare servers that floors are measured on; prints the port, serves until killed."""

import asyncio
import sys

import grpc.aio
import uvloop
from aiohttp import web
from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """What the hot path reads, in its smallest form."""

    model_config = ConfigDict(extra="forbid", strict=True)
    kid: str
    seq: int
    code: int
    observed_at: int


async def http() -> int:
    async def echo(request: web.Request) -> web.Response:
        body = Body.model_validate_json(await request.read())
        return web.Response(body=body.model_dump_json().encode(), content_type="application/json")

    app = web.Application()
    app.router.add_post("/", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner.addresses[0][1]


async def rpc() -> int:
    async def echo(request: bytes, _context: object) -> bytes:
        return request

    server = grpc.aio.server()
    handlers = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("bench.Echo", handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    KEPT.append(server)
    return port


KEPT: list[object] = []


async def main(kind: str) -> None:
    print(await {"http": http, "grpc": rpc}[kind](), flush=True)  # noqa: T201 -- the parent reads it
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
