"""How a beacon shows who it is: it signs the time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from beacon_svc.domain.claims import EPOCH
from beacon_svc.domain.clock_model import Anchor
from contracts.ids import BeaconId

AUTH_TAG = "att.beacon-auth.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A signed timestamp. ts_ms: Unix time by the beacon's clock. nonce: 16 bytes, base64url."""

    beacon_id: BeaconId
    kid: str
    ts_ms: int
    boot: int
    uptime_ms: int
    nonce: str

    @property
    def told_at(self) -> datetime:
        """The time it signed."""
        return EPOCH + timedelta(milliseconds=self.ts_ms)

    def lines(self, origin: str) -> list[str]:
        """Return the lines that the beacon signs for the server at `origin` (scheme, host and port)."""
        numbers = map(str, (self.ts_ms, self.boot, self.uptime_ms))
        return [AUTH_TAG, origin, str(self.beacon_id), self.kid, *numbers, self.nonce]

    def anchor(self, server_at: datetime) -> Anchor:
        """Return what this login tells about the beacon's clocks."""
        return Anchor(boot=self.boot, uptime_ms=self.uptime_ms, told_at=self.told_at, server_at=server_at)
