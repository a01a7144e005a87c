"""The public doors as a client sees them: JSON over HTTP, tokens, problems."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from infra.import_answers import LINES_OF_JSON


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer. body: the parsed JSON, {} when there is none. lines: of an answer in lines of JSON."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
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
            text = await answer.text()
            if answer.content_type == LINES_OF_JSON:
                return Heard(answer.status, {}, answer.headers, tuple(map(json.loads, text.splitlines())))
            parsed = json.loads(text) if "json" in answer.content_type and text else {}
            return Heard(answer.status, parsed, answer.headers)

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
