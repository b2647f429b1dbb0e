"""Pages of the API keys of a tenant, for its operators and for itself."""

import re
from typing import Final

from service.api.http.cursors import decode_text
from service.console.lists import ROWS, next_target, text_of
from service.console.visit import Visit
from service.domain.tenant import ApiKey

_ID: Final = re.compile("[0-9A-Za-z_-]{1,100}")


async def page_of_keys(
    visit: Visit, tenant_id: str, path: str
) -> tuple[list[tuple[ApiKey, str | None, bool]], str | None]:
    """Return keys with their last use and whether they are valid, and the target of the next page. Raises Invalid."""
    cursor, now = text_of(visit, "cursor"), visit.runtime.clock()
    after = None if cursor is None else decode_text(cursor, lambda text: _ID.fullmatch(text) is not None)
    found = await visit.runtime.tenants.api_keys.page(tenant_id, limit=ROWS + 1, after=after)
    shown = found[:ROWS]
    rows = [(key, used, key.is_valid(now)) for key, used in shown]
    return rows, next_target(visit, path, shown[-1][0].id if len(found) > ROWS else None, ())
