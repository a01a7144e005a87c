"""Read Server-Sent Events, and keep a board of a course by them as a page would."""

import asyncio
import json
from dataclasses import dataclass, field

RANKS = ("ACCEPTED", "LATE", "PENDING", "REFUSED")
GONE = ("VOIDED", "SUPERSEDED")


@dataclass
class Heard:
    name: str
    data: dict
    id: str | None = None


class EventReader:
    """Reads one response, event by event."""

    def __init__(self, response):
        self._response = response
        self.last_id = None

    async def next(self, timeout_s=5.0):
        """Return the next event; comments are passed over. None at the end."""
        async with asyncio.timeout(timeout_s):
            while block := (await self._response.content.readuntil(b"\n\n") if not self._is_over() else b""):
                fields = dict(line.split(": ", 1) for line in block.decode().splitlines() if line and line[0] != ":")
                if "event" in fields:
                    self.last_id = fields.get("id", self.last_id)
                    return Heard(fields["event"], json.loads(fields["data"]), fields.get("id"))
        return None

    def _is_over(self):
        return self._response.content.at_eof()


@dataclass
class Board:
    """What is known of a course. told: how many events said anything new."""

    expected: set = field(default_factory=set)
    signatures: dict = field(default_factory=dict)
    changes: list = field(default_factory=list)

    def take(self, heard):
        if heard.name == "sheet":
            self.expected = set(heard.data["expected_ids"])
            self.signatures = {each["signature_id"]: each for each in heard.data["signatures"]}
        elif heard.name == "signature":
            self.changes.append((heard.data["signature_id"], heard.data["change"]))
            known = self.signatures.get(heard.data["signature_id"], {"change": 0})
            if heard.data["change"] > known["change"]:
                self.signatures[heard.data["signature_id"]] = heard.data
        return self

    def states(self):
        """Return what became of each student, as the sheet has it."""
        standing = [each for each in self.signatures.values() if each["student_id"] and each["status"] not in GONE]
        standing.sort(key=lambda each: RANKS.index(each["status"]), reverse=True)
        found = {each["student_id"]: each["status"] for each in standing}
        return dict.fromkeys(self.expected, "ABSENT") | {
            id_: "ABSENT" if status == "REFUSED" and id_ in self.expected else status for id_, status in found.items()
        }
