"""The seconds of input videos, which are billed. A video that was not measured is priced as the longest."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol


class InputSeconds(Protocol):
    """Knows the seconds of videos that the gateway has measured."""

    async def of(self, tenant_id: str, urls: Sequence[str]) -> Sequence[Decimal | None]:
        """Return the seconds of each video, rounded up; None: it was not measured.

        It is called for requests with videos only, before the cost is estimated. A URL can be a data URI.
        """
        ...
