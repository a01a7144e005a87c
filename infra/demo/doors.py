"""The public doors as a client sees them: JSON over HTTP, tokens, problems."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from infra.import_answers import LINES_OF_JSON

EVENTS = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer. body: the parsed JSON, {} when there is none. text: as it came. lines: of one in lines of JSON."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    lines: tuple[dict[str, Any], ...] = ()

    @property
    def word(self) -> str:
        """The answer in one word: its problem code, or its status."""
        return str(self.body["code"]) if "code" in self.body and self.status >= 400 else str(self.status)  # noqa: PLR2004 -- HTTP errors

    def expect(self, *statuses: int) -> dict[str, Any]:
        """Return the body. Raises: UnexpectedAnswerError when the status is none of `statuses`."""
        if self.status not in statuses:
            raise UnexpectedAnswerError(f"wanted {statuses}, heard {self.status}: {json.dumps(self.body)[:400]}")
        return self.body


class UnexpectedAnswerError(Exception):
    """A door answered what the story cannot go on with."""


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a stream. id: "" when it has none."""

    name: str
    data: dict[str, Any]
    id: str = ""


class Listener:
    """Reads a stream of events. last_id: of the last one heard."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer, self.last_id = answer, ""

    async def next(self, timeout_s: float) -> Told:
        """Return the next event; comments are passed over. Raises: UnexpectedAnswerError when none comes."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    block = (await self._answer.content.readuntil(b"\n\n")).decode()
                    said = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
                    if "event" in said:
                        self.last_id = said.get("id", self.last_id)
                        return Told(said["event"], json.loads(said["data"]), said.get("id", ""))
        except (TimeoutError, aiohttp.ClientError, ValueError, asyncio.IncompleteReadError) as error:
            raise UnexpectedAnswerError(f"wanted an event, heard {error!r}") from error


class Doors:
    """Talks to the edge as one person, or as nobody."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, token: str | None = None) -> None:
        self.session, self.base_url, self.token = session, base_url, token

    def as_(self, token: str) -> "Doors":
        """Return the same doors for the person whose token this is."""
        return Doors(self.session, self.base_url, token)

    async def call(
        self, method: str, path: str, body: object = None, *, headers: Mapping[str, str] | None = None
    ) -> Heard:
        """Send a request with `body` as JSON and return what came back. Bytes go as they are."""
        sent = dict(headers or {})
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        raw = body if isinstance(body, bytes | io.BytesIO) else None if body is None else json.dumps(body).encode()
        if raw is not None:
            sent.setdefault("Content-Type", "application/json")
        async with self.session.request(method, self.base_url + path, data=raw, headers=sent) as answer:
            # What goes on for as long as it is read is left at once; `listen` reads it.
            text = "" if answer.content_type == EVENTS else await answer.text()
            if answer.content_type == LINES_OF_JSON:
                return Heard(answer.status, {}, answer.headers, text, tuple(map(json.loads, text.splitlines())))
            parsed = json.loads(text) if "json" in answer.content_type and text else {}
            return Heard(answer.status, parsed, answer.headers, text)

    @asynccontextmanager
    async def listen(self, path: str, last_id: str = "") -> AsyncIterator["Listener"]:
        """Open the event stream at `path`; last_id: of the event that was heard last."""
        sent = {"Authorization": f"Bearer {self.token}", "Last-Event-ID": last_id}
        # Longer than any time without an event or a comment.
        limits = aiohttp.ClientTimeout(total=None, sock_read=60)
        async with self.session.get(self.base_url + path, headers=sent, timeout=limits) as answer:
            if answer.content_type != EVENTS:
                raise UnexpectedAnswerError(f"wanted events, heard {answer.status}: {(await answer.text())[:400]}")
            yield Listener(answer)

    async def get(self, path: str) -> Heard:
        """GET `path`."""
        return await self.call("GET", path)

    async def post(self, path: str, body: object = None) -> Heard:
        """POST `body` to `path`."""
        return await self.call("POST", path, body)

    async def send_file(self, path: str, raw: bytes, media_type: str) -> Heard:
        """POST a file to `path`."""
        return await self.call("POST", path, io.BytesIO(raw), headers={"Content-Type": media_type})

    async def put(self, path: str, body: object = None) -> Heard:
        """PUT `body` to `path`."""
        return await self.call("PUT", path, body)

    async def patch(self, path: str, body: object, *, version: int) -> Heard:
        """PATCH `path` as seen in `version`."""
        return await self.call("PATCH", path, body, headers={"If-Match": f'"{version}"'})
