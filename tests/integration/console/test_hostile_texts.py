"""A table of stored and reflected XSS: texts with markup from each source, on each page that shows them."""

import csv
import io
import re
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI

import service.console
from service.domain.actor import ActorKind
from service.domain.console_session import Subject
from service.domain.operator import Role
from tests.conftest import client_of
from tests.support.console import ADMIN, browser_of, filled, session_routes
from tests.support.factories import ADMIN_TOKEN, Clock
from tests.support.hostile import MARK, STARTS, World, faults, hostile, shown
from tests.support.webhooks import drained

#: Sources of the texts that some page shows. A page that shows a further one is tested all the same.
SHOWN: Final = frozenset(
    {
        "adjustment-reason",
        "block-reason",
        "bulk-reason",
        "end-user-id",
        "endpoint-description",
        "endpoint-query",
        "endpoint-url",
        "fal-error",
        "fal-log",
        "fal-request-id",
        "issuer-name",
        "jwt-aud",
        "jwt-claim",
        "jwt-claim-value",
        "jwt-iss",
        "jwt-sub",
        "key-name",
        "metadata-key",
        "metadata-value",
        "operator-name",
        "operator-token-name",
        "pause-reason",
        "prompt",
        "prompt-of-unconfirmed",
        "prompt-of-video",
        "receiver-answer",
        "suspension-reason",
        "tenant-name",
        "tenant-pause-reason",
    }
)
_CSV: Final = (
    "/admin/v1/usage",
    "/admin/v1/trail",
    "/v1/usage?by=end_user",
)
_FIELD: Final = re.compile(r'<(?:input|select) id="field-(\w+)"')
_NEXT_PAGE: Final = re.compile(r'<a rel="next" href="([^"]+)">')
_QUERY_NAME: Final = re.compile(r"""(?:query\.get|_of)\((?:visit, )?["']([a-z_]+)["']""")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=STARTS, ids=["formula", "javascript"])
async def world(app: FastAPI, request: pytest.FixtureRequest) -> World:
    runtime = app.state.runtime
    made = World(runtime, partial(client_of, app), start=request.param)
    await made.build(ADMIN_TOKEN, partial(drained, runtime))
    return made


def _subjects(world: World) -> dict[bool, Subject]:
    """Return who reads the pages of operators, and who those of a tenant."""
    return {True: ADMIN, False: Subject(ActorKind.API_KEY, world.paths["key_id"])}


async def test_stored_text_stays_text_on_every_page(app: FastAPI, world: World) -> None:
    found, seen = {}, set()
    for for_operators, subject in _subjects(world).items():
        async with browser_of(app, subject) as browser:
            paths = list(world.pages(session_routes(app), for_operators=for_operators))
            for path in paths:
                page = await browser.client.get(path)
                assert page.status_code < 500, path
                seen |= shown(page.text)
                found[path] = _faults(page)
                paths += [unescape(following) for following in _NEXT_PAGE.findall(page.text)]

    assert {path: each for path, each in found.items() if each} == {}
    assert len(found) > 60
    assert SHOWN - seen == set()


async def test_formula_in_a_table_is_quoted(app: FastAPI, world: World) -> None:
    """Spreadsheets evaluate a cell that begins like a formula, also one in quotation marks of CSV."""
    seen = set()
    async with (
        browser_of(app, ADMIN) as browser,
        client_of(app, ADMIN_TOKEN) as operator,
        client_of(app, world.api_key) as api,
    ):
        tables = [await browser.client.get("/console/money/usage.csv")]
        for path in _CSV:
            client = operator if path.startswith("/admin") else api
            tables.append(await client.get(path, headers={"accept": "text/csv"}))
    for table in tables:
        assert table.headers["content-type"].startswith("text/csv"), table.url
        cells = {cell for row in csv.reader(io.StringIO(table.text)) for cell in row}
        assert not {cell for cell in cells if cell.startswith(("=", "+", "@"))}, table.url
        seen |= {cell[:6] for cell in cells if MARK in cell}
    assert any(each.lstrip("'").startswith(("=", "javas")) for each in seen), "no table has a text: nothing was tested"


def _query_names() -> list[str]:
    """Return the names of all filters and fields that pages read from the URL."""
    folder = Path(service.console.__file__).parent
    files = [*folder.rglob("*.py"), *folder.rglob("*.html")]
    return sorted({name for file in files for name in _QUERY_NAME.findall(file.read_text())})


async def test_reflected_text_stays_text_on_every_page(app: FastAPI, world: World) -> None:
    """Each filter of a page alone, since a wrong one hides the others; and all that any page reads together."""
    names, text, found = _query_names(), hostile("query", world.start), {}
    assert {"actor", "cursor", "end_user_id", "id", "metadata", "prefix", "request_id", "status", "tenant_id"} <= {
        *names
    }
    for for_operators, subject in _subjects(world).items():
        async with browser_of(app, subject) as browser:
            for path in (filled(each, text) for each in _pages(app, for_operators=for_operators)):
                page = await browser.client.get(path)
                filters = sorted({*_FIELD.findall(page.text), "cursor"} & {*names})
                for query in (*({name: text} for name in filters), dict.fromkeys(names, text)):
                    page = await browser.client.get(path, params=query)
                    found[f"{page.url}"] = _faults(page)
    assert {path: each for path, each in found.items() if each} == {}
    assert len(found) > 100


def _pages(app: FastAPI, *, for_operators: bool) -> list[str]:
    routes = (each for each in session_routes(app) if isinstance(each.needs, Role) == for_operators)
    return [each.path for each in routes if each.method == "GET" and each.needs is not None]


def _faults(page: httpx.Response) -> list[str]:
    """Return the faults of a page. Other files are downloaded, and never shown as a page."""
    if page.headers.get("content-type", "").startswith("text/html"):
        return faults(page.text)
    assert page.is_redirect or "attachment" in page.headers["content-disposition"], page.url
    return []


async def test_login_pages_reflect_text_as_text(app: FastAPI) -> None:
    async with browser_of(app) as browser:
        for start in STARTS:
            text = hostile("login", start)
            pages: list[httpx.Response] = [
                await browser.get(f"/console/{page}", params={"next": text, "ticket": text, "error": text})
                for page in ("login", "login/link", "login/openid/callback", "oncall")
            ]
            pages.append(await browser.log_in(text, next=text))
            assert [faults(page.text) for page in pages] == [[]] * 5


async def test_fields_of_each_form_stay_text(app: FastAPI, world: World) -> None:
    """Fill in each form of each page with the text, once with the hidden fields of the page and once without."""
    text, statuses = hostile("field", world.start), set()
    found: dict[str, list[str]] = {}
    for for_operators, subject in sorted(_subjects(world).items()):  # operators last: they end what the tenant has
        async with browser_of(app, subject) as browser:
            pages = [*world.pages(session_routes(app), for_operators=for_operators)]
            forms = [form for path in pages for form in _forms((await browser.client.get(path)).text)]
            token = await browser.token()
            for action, hidden, names in dict.fromkeys(forms):
                for fields in ({**dict.fromkeys(names, text), **dict(hidden)}, dict.fromkeys(names, text)):
                    given: dict[str, Any] = {"token": token, **fields}
                    answer = await browser.post(action, **given)
                    statuses.add(answer.status_code)
                    found[f"{action} {len(found)}"] = _faults(answer)
                    if answer.status_code == 303:
                        found[f"after {action}"] = _faults(await browser.get(answer.headers["location"]))
    assert {path: each for path, each in found.items() if each} == {}
    assert {303, 422} <= statuses
    assert len(found) > 40


def _forms(page: str) -> list[tuple[str, tuple[tuple[str, str], ...], tuple[str, ...]]]:
    """Return of each form that is sent by POST: its path, its hidden fields, the names of all fields."""
    found = []
    for action, content in re.findall(r'<form method="post" action="([^"]+)"[^>]*>(.*?)</form>', page, re.DOTALL):
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', content)
        names = re.findall(r'<(?:input|select|textarea)\b[^>]*\sname="(\w+)"', content)
        if not action.endswith("/logout"):
            kept = tuple((name, unescape(value)) for name, value in hidden if name != "csrf")
            found.append((unescape(action), kept, tuple(name for name in names if name != "csrf")))
    return found


@pytest.mark.parametrize(
    ("html", "is_fault"),
    [
        ("<p>{}</p>", True),
        ('<p title="{}">a</p>', True),
        ("<p title='{}'>a</p>", True),
        ('<a href="{}">a</a>', True),
        ("<textarea>{}</textarea>", True),
        ("<p title={}>a</p>", True),
        ("<!-- {} -->", True),
        ("<p>a</p>", False),
        ('<a href="/console/oncall">a</a>', False),
    ],
)
def test_unescaped_text_is_found(html: str, *, is_fault: bool) -> None:
    for start in STARTS:
        assert bool(faults(html.format(hostile("x", start)))) == is_fault
