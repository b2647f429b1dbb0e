"""The table of routes for callers names every route of ``/v1``, with the scope and the headers that it takes."""

import re
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from tests.guards.repository import ROOT

PAGE = ROOT / "docs/how-to/callers.md"
_CODE = re.compile(r"`([^`]+)`")
#: Headers that every route takes, or that HTTP clients send by themselves: no parameters of single routes.
_ANYWHERE = {"Accept"}


@dataclass(frozen=True)
class Row:
    scope: str
    headers: frozenset[str]


def table() -> dict[tuple[str, str], Row]:
    """Return the rows by method and path, with ``{}`` for each parameter."""
    (section,) = re.findall(r"\| I want to \.\.\. \|[^\n]*\n\|[-|]+\|\n(.*?)\n\n", PAGE.read_text(), re.DOTALL)
    rows: dict[tuple[str, str], Row] = {}
    for line in section.splitlines():
        _, routes, scope, headers = (cell.strip() for cell in line.strip("|").split("|"))
        named = {name for name in _CODE.findall(headers) if name[0].isupper()}
        for route in _CODE.findall(routes):
            method, path = route.split()
            assert (method, without_names(path)) not in rows, f"{route} is in two rows"
            rows[method, without_names(path)] = Row(scope.strip("`"), frozenset(named - _ANYWHERE))
    return rows


def without_names(path: str) -> str:
    return re.sub(r"{\w+}", "{}", path)


def operations(app: FastAPI) -> dict[tuple[str, str], Any]:
    """Return the operations of ``/v1`` that the document has. A HEAD is the GET without its body."""
    return {
        (method.upper(), without_names(path)): operation
        for path, item in app.openapi()["paths"].items()
        if path.startswith("/v1/")
        for method, operation in item.items()
        if method != "head"
    }


def test_table_has_every_route_and_no_other(app: FastAPI) -> None:
    assert table().keys() == operations(app).keys()


def test_table_has_the_scope_of_each_route(app: FastAPI) -> None:
    scopes = {name: operation["security"][0]["apiKey"] for name, operation in operations(app).items()}
    assert {name: row.scope for name, row in table().items()} == {
        name: scope[0] if scope else "any" for name, scope in scopes.items()
    }


def test_table_names_headers_that_the_routes_take(app: FastAPI) -> None:
    documents = operations(app)
    for name, row in table().items():
        parameters = documents[name].get("parameters", [])
        taken = {each["name"] for each in parameters if each.get("in") == "header"}
        assert row.headers <= taken, name
