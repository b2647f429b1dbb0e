"""Every other path below the console."""

from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Visit
from service.errors import NotFound

unknown = ConsoleRoutes()


@unknown.page("/{path:path}", needs=None)
async def show_unknown_page(visit: Visit) -> Page:
    raise NotFound(f"There is no page {visit.request.scope['path'][:_LONGEST]}.")


#: Characters of the path that the page repeats.
_LONGEST = 200
