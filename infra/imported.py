"""What the rows of an imported file became."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Imported:
    """What a row stands for. is_new: made by this row, not there before."""

    id: UUID
    is_new: bool
