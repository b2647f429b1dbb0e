"""The dashboards."""

from typing import Final

from monitoring.boards.internals import INTERNALS
from monitoring.boards.overview import OVERVIEW
from monitoring.boards.tenants import TENANTS
from monitoring.boards.upstream import UPSTREAM
from monitoring.boards.webhooks import WEBHOOKS

EVERY: Final = (OVERVIEW, TENANTS, UPSTREAM, WEBHOOKS, INTERNALS)
