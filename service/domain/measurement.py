"""What is measured of a clip: a video or audio file among the inputs of a generation.

This module imports nothing that is slow to import: each measurement starts a process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final, Literal, Self

ClipKind = Literal["video", "audio"]
Container = Literal["mp4", "mov", "mp3", "wav"]

KIND: Final[Mapping[Container, ClipKind]] = {"mp4": "video", "mov": "video", "mp3": "audio", "wav": "audio"}
_DECIMALS: Final = frozenset(("seconds", "frames_per_second"))
_MILLISECOND: Final = Decimal("0.001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What a clip's file says of itself. ``size`` is in bytes; size and rate of the picture are of videos only."""

    container: Container
    size: int
    seconds: Decimal
    """The longest that the file states or contains, see ``service.media.clips.measuring``."""
    codec: str
    width: int | None = None
    height: int | None = None
    frames_per_second: Decimal | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the fields that are known, decimals as strings."""
        found = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {name: str(value) if isinstance(value, Decimal) else value for name, value in found if value is not None}

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Self:
        values: dict[str, Any] = {name: Decimal(value) if name in _DECIMALS else value for name, value in found.items()}
        return cls(**values)

    @property
    def kind(self) -> ClipKind:
        return KIND[self.container]


def rounded_up(seconds: Decimal) -> Decimal:
    """Return the seconds in whole milliseconds."""
    return seconds.quantize(_MILLISECOND, ROUND_CEILING)
