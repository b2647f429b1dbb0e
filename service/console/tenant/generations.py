"""Generations of the own tenant: a list with filters, and a page of one with its video."""

import re
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.responses import Response

from service.api.http.video_response import video_response
from service.console.lists import ROWS, choice_of, cursor_of, next_target, options_of, searched_until, text_of
from service.console.rendering import moment, money
from service.console.routes import ConsoleRoutes
from service.console.visit import Page, Redirect, Visit
from service.domain import ids
from service.domain.end_user import pseudonym
from service.domain.generation import Generation
from service.domain.generation_filter import Filter
from service.domain.status import PublicStatus
from service.domain.tenant import Scope
from service.domain.webhook import DeliveryFilter
from service.errors import GatewayError
from service.usecases.generations.videos import VideoRedirect

generations = ConsoleRoutes()
LIST: Final = ("/tenant/generations", "Generations")
#: Deliveries that the page of a generation shows, the newest.
_DELIVERIES: Final = 10
#: Host and port in the policy of a page; others would need quotes there.
_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?")


@generations.page(LIST[0], needs=Scope.READ)
async def list_generations(visit: Visit) -> Page:
    end_user_id = text_of(visit, "end_user_id")
    wanted = Filter(
        tenant_id=visit.tenant.id,
        status=choice_of(visit, "status", PublicStatus),
        end_user=None if end_user_id is None else pseudonym(visit.tenant, end_user_id),
    )
    page = await visit.runtime.generations.reader.list(
        visit.tenant, wanted, limit=ROWS, after=cursor_of(visit, ids.GENERATION), most_read=ROWS
    )
    context = {
        "generations": page.items,
        "statuses": options_of(PublicStatus),
        "next": next_target(visit, LIST[0], page.after, ("status", "end_user_id")),
        "until": searched_until(page.after, found=len(page.items)),
    }
    return Page("tenant/generations.html", LIST[1], context)


@generations.page("/tenant/generations/{generation_id}", needs=Scope.READ)
async def show_generation(visit: Visit) -> Page:
    g = await visit.runtime.generations.reader.get(visit.tenant, visit.path_params["generation_id"])
    wanted = DeliveryFilter(generation_id=g.id)
    found = await visit.runtime.webhooks.deliveries.list(
        visit.tenant, wanted, limit=_DELIVERIES, after=None, most_read=_DELIVERIES
    )
    has_video, origins = await _video(visit, g)
    context = {
        "g": g,
        "facts": _facts(g),
        "has_video": has_video,
        "deliveries": found.items,
        "may_cancel": not g.is_terminal and visit.identity.may(Scope.GENERATE),
    }
    return Page("tenant/generation.html", g.id, context, parents=(LIST,), media=origins)


@generations.page("/tenant/generations/{generation_id}/video", needs=Scope.READ)
async def read_video(visit: Visit) -> Response:
    return await video_response(visit.request, visit.tenant, visit.path_params["generation_id"])


@generations.action("/tenant/generations/{generation_id}/cancel", needs=Scope.GENERATE)
async def cancel_generation(visit: Visit) -> Redirect:
    g = await visit.runtime.generations.canceller.cancel(visit.tenant, visit.path_params["generation_id"])
    message = "The generation is canceled." if g.is_terminal else "fal receives the request to cancel."
    return Redirect(f"{LIST[0]}/{g.id}", message)


async def _video(visit: Visit, g: Generation) -> tuple[bool, tuple[str, ...]]:
    """Return whether there is a video, and the other origin that serves it."""
    if g.output is None:
        return False, ()
    try:
        found = await visit.runtime.generations.videos.find(visit.tenant, g.id)
    except GatewayError:
        return False, ()
    if not isinstance(found, VideoRedirect):
        return True, ()
    parts = urlsplit(found.url)
    origin = f"{parts.scheme}://{parts.netloc}"
    return True, (origin,) if _ORIGIN.fullmatch(origin) else ()


def _facts(g: Generation) -> list[tuple[str, Any]]:
    facts: list[tuple[str, Any]] = [
        ("Status", g.public_status.value),
        ("Model", g.model),
        ("Prompt", g.input.get("prompt", "–")),
        ("End user", g.end_user_id or "–"),
        ("Estimated cost", money(g.estimated_cost)),
        ("Cost", money(g.actual_cost)),
        ("Created", moment(g.created_at)),
        ("Submitted", moment(g.submitted_at)),
        ("Finished", moment(g.finished_at)),
    ]
    if g.error is not None:
        facts.append(("Error", f"{g.error.code}: {g.error.message}"))
    return [*facts, *((f"Metadata: {name}", value) for name, value in g.metadata.items())]
