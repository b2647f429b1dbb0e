"""Every page: times are elements, money is in cells of figures, fields have labels, empty lists say what to do."""

import re
from html.parser import HTMLParser

import pytest
from fastapi import FastAPI

from service.console.areas import AREAS
from service.domain.actor import ActorKind
from service.domain.console_session import Subject
from service.domain.operator import Role
from tests.integration.console.test_pages import PARAMETER, values
from tests.support.console import ADMIN, Browser, browser_of, session_routes

__all__ = ["values"]
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_MONEY = re.compile(r"-?\$[\d,]+\.\d\d")
_VOID = frozenset(("input", "meta", "link", "br", "img", "rect"))
#: Pages without a list.
NO_LIST = {"/money/usage", "/money", "/tenant", "/oncall/generations"}


class Faults(HTMLParser):
    """Collects what is wrong with a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self._labels: set[str] = set()
        self._fields: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        parents = [name for name, _ in self._open]
        if tag == "label" and given.get("for"):
            self._labels.add(given["for"] or "")
        if tag in ("input", "select", "textarea") and given.get("type") != "hidden" and "label" not in parents:
            self._fields.append(given)
        if tag == "time" and not given.get("datetime"):
            self.found.append("a time without datetime")
        if tag == "table" and not any("tabindex" in attributes for _, attributes in self._open):
            self.found.append("a table that the keyboard cannot scroll")
        if tag == "th" and not given.get("scope"):
            self.found.append("a heading of a table without scope")
        if "onclick" in given or (given.get("tabindex") or "0") not in ("0", "-1"):
            self.found.append(f"{tag} changes the order of the keyboard")
        if tag not in _VOID:
            self._open.append((tag, given))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self._open]
        classes = {name for _, given in self._open for name in (given.get("class") or "").split()}
        if _TIME.search(data) and "time" not in tags and not classes & {"hint", "prose", "text"} and "pre" not in tags:
            self.found.append(f"a time that is no element: {data.strip()}")
        if tags and tags[-1] == "td" and _MONEY.fullmatch(data.strip()) and "number" not in classes:
            self.found.append(f"money that is not aligned: {data.strip()}")

    def all(self) -> list[str]:
        unnamed = [
            f"a field without a label: {given.get('name')}"
            for given in self._fields
            if given.get("id") not in self._labels and not given.get("aria-label")
        ]
        return [*self.found, *unnamed]


@pytest.mark.parametrize("who", ["operator", "tenant"])
async def test_pages_are_usable(app: FastAPI, values: dict[str, str], who: str) -> None:
    await app.state.runtime.tenants.service.suspend(values["tenant_id"], "a loop") if who == "operator" else None
    faults = dict[str, list[str]]()
    shown = 0
    async with browser_of(app, ADMIN if who == "operator" else Subject(ActorKind.API_KEY, values["key_id"])) as browser:
        for route in session_routes(app):
            if route.method == "GET" and isinstance(route.needs, Role) == (who == "operator"):
                path = PARAMETER.sub(lambda found: values.get(found[1], "x"), route.path)
                page = await browser.client.get(path)
                if not page.headers.get("content-type", "").startswith("text/html"):
                    continue
                shown += page.status_code == 200
                parser = Faults()
                parser.feed(page.text)
                if found := parser.all():
                    faults[path] = found
    assert faults == {}
    assert shown > 10


async def test_empty_lists_say_what_to_do(admin: Browser, customer: Browser) -> None:
    for area in AREAS:
        for entry in area.entries:
            if entry.path in NO_LIST or entry.path == "/tenant/keys":  # its own key is there
                continue
            browser = admin if isinstance(entry.needs, Role) else customer
            page = (await browser.get(f"/console{entry.path}")).text
            assert 'class="empty"' in page or "<tbody>" in page, entry.path
            assert "<tbody>\n</tbody>" not in page, entry.path


def test_faults_are_found() -> None:
    parser = Faults()
    parser.feed(
        "<p>2026-01-31 10:00</p><time>x</time><table><tr><th>a</th><td>$1.00</td></tr></table>"
        '<input name="a"><p tabindex="3"></p>'
    )
    assert len(parser.all()) == 7
