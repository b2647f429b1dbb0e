"""The audit trail with its filters in the URL."""

from typing import Final
from urllib.parse import urlencode

from service.api.http.cursors import encode_cursor
from service.api.http.trail_views import decode_trail_cursor
from service.console.lists import ROWS, choice_of, options_of, text_of
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Visit
from service.domain.operator import Role
from service.domain.trail import Outcome
from service.usecases.trail.pages import TrailFilter

trail = ConsoleRoutes()
_PATH: Final = "/oncall/trail"
#: Entries that a page examines: one command reads them.
_EXAMINED: Final = 100
_FILTERS: Final = ("actor", "action", "target", "tenant_id", "outcome")


@trail.page(_PATH, needs=Role.VIEWER)
async def list_trail(visit: Visit) -> Page:
    tenant_id = text_of(visit, "tenant_id")
    wanted = TrailFilter(
        actor=text_of(visit, "actor"),
        action=text_of(visit, "action"),
        target=text_of(visit, "target"),
        outcome=choice_of(visit, "outcome", Outcome),
    )
    after = decode_trail_cursor(text_of(visit, "cursor"), by_number=tenant_id is not None)
    most = _EXAMINED if tenant_id is None else ROWS  # entries about a tenant are read one by one
    page = await visit.runtime.trail_pages.page(wanted, tenant_id=tenant_id, limit=ROWS, after=after, most_read=most)
    kept = [(name, visit.query[name]) for name in _FILTERS if visit.query.get(name)]
    more = None if page.after is None else f"{_PATH}?{urlencode([*kept, ('cursor', encode_cursor(page.after))])}"
    return Page(
        "oncall/trail.html", "Audit trail", {"entries": page.entries, "outcomes": options_of(Outcome), "next": more}
    )
