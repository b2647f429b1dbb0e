"""Templates as responses. Every value is escaped; a name that a template misspells is an error."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from service.api.http.compression import NOT_TRANSFORMED
from service.console import csrf
from service.console.areas import areas_of
from service.console.headers import headers
from service.console.static_files import static_link
from service.console.visit import BASE, Page, link
from service.usecases.console.sessions import Resumed

if TYPE_CHECKING:  # `serve` imports Jinja2 at the first page
    from jinja2 import Environment

_TEMPLATES: Final = Path(__file__).parent / "templates"
_MICRO: Final = 1_000_000


def render(
    request: Request, page: Page, resumed: Resumed | None, *, secret: str, media: tuple[str, ...] = ()
) -> HTMLResponse:
    """Return a page. ``secret``: what the tokens of its forms belong to. ``media``: origins of its videos."""
    identity = None if resumed is None else resumed.identity
    path = request.scope["path"].removeprefix(BASE)
    text = (
        _environment()
        .get_template(page.template)
        .render(
            **page.context,
            page=page,
            path=path,
            identity=identity,
            areas=areas_of(identity, path),
            message=None if resumed is None else resumed.message,
            link=lambda target: link(request, target),
            static=lambda name: static_link(request, name),
            csrf_token=lambda: csrf.token_for(secret),
            query=request.query_params,
        )
    )
    response = HTMLResponse(text, status_code=page.status, headers=headers(*media))
    if page.has_secret:
        response.headers["cache-control"] = NOT_TRANSFORMED
    return response


@cache
def _environment() -> "Environment":
    """Return the templates. Each is compiled at its first use and then stays."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        cache_size=-1,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(money=money, moment=moment, duration=duration, count=count)
    return environment


def money(micro: int | None) -> str:
    """Return US dollars of micro-USD, rounded to a cent; an amount below a cent has six decimals."""
    if micro is None:
        return "–"
    sign, amount = "-" if micro < 0 else "", abs(micro)
    if 0 < amount < _MICRO // 100:
        return f"{sign}${amount / _MICRO:,.6f}"
    return f"{sign}${amount / _MICRO:,.2f}"


def moment(value: datetime | str | None) -> Markup:
    """Return a time as an element: UTC for readers without the script, which shows the reader's own zone.

    A text is RFC 3339, as views of the API have it.
    """
    if value is None:
        return Markup("–")
    if isinstance(value, str):
        value = datetime.fromisoformat(value).astimezone(UTC)
    text = value.strftime("%Y-%m-%d %H:%M:%S")
    return Markup('<time datetime="{}" title="{} UTC">{} UTC</time>').format(
        value.isoformat(timespec="milliseconds"), text, text
    )


def duration(value: timedelta | None) -> str:
    """Return a duration in its two largest units: ``3 min 20 s``, ``2 h 5 min``, ``4 d 3 h``."""
    if value is None:
        return "–"
    seconds = max(0, int(value.total_seconds()))
    for size, name, below, below_name in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            rest = seconds % size // below
            return f"{seconds // size} {name}" + (f" {rest} {below_name}" if rest else "")
    return f"{seconds} s"


def count(value: int) -> str:
    """Return a number with separators of thousands."""
    return f"{value:,}"
