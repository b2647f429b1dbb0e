"""Every route of the console checks a session and a right, or is on a short list; every template is escaped."""

import ast
import re
from typing import Final

from fastapi import FastAPI

from service.console.areas import AREAS
from service.domain.operator import Role
from service.domain.tenant import Scope
from tests.guards.repository import ROOT
from tests.support.console import console_routes, session_routes

#: Routes without a session.
PUBLIC = {
    ("GET", "/console/login"),
    ("POST", "/console/login"),
    ("GET", "/console/login/link"),
    ("POST", "/console/login/link"),
    ("GET", "/console/login/openid"),
    ("GET", "/console/login/openid/callback"),
    ("GET", "/console/login/openid/logout"),
    ("GET", "/console/static/{name}"),
}
#: Routes of every session.
ANYBODY = {("GET", "/console"), ("POST", "/console/logout"), ("GET", "/console/{path:path}")}
#: URLs that Python has made: of the own console, and of the login provider's metadata.
CHECKED_URLS = {"{{ target }}", "{{ url }}"}
TEMPLATES = ROOT / "service/console/templates"


def test_console_route_needs_a_session_and_a_right(app: FastAPI) -> None:
    needs = {(route.method, route.path): route.needs for route in session_routes(app)}
    every = {(route.method, route.path) for route in console_routes(app)}

    assert every - needs.keys() == PUBLIC
    assert {route for route, need in needs.items() if need is None} == ANYBODY
    assert all(isinstance(need, Role | Scope) for need in needs.values() if need is not None)


def test_console_get_changes_nothing(app: FastAPI) -> None:
    """A GET is sent without a token: each route has one method, and an action is a POST."""
    assert all(route.methods == {route.method} for route in console_routes(app))
    assert {route.method for route in console_routes(app)} == {"GET", "POST"}


def test_console_routes_are_outside_of_the_document_and_of_the_hot_path(app: FastAPI) -> None:
    from service.api.http.raw_route import QueryRoute, RawRoute

    assert not [route for route in console_routes(app) if isinstance(route, RawRoute | QueryRoute)]
    assert not [path for path in app.openapi()["paths"] if path.startswith("/console")]


def test_navigation_leads_to_pages_with_the_same_right(app: FastAPI) -> None:
    needs = {route.path: route.needs for route in session_routes(app) if route.method == "GET"}

    assert {f"/console{entry.path}": entry.needs for area in AREAS for entry in area.entries}.items() <= needs.items()


def test_templates_escape_everything_and_have_no_inline_code() -> None:
    files = sorted(TEMPLATES.rglob("*.html"))
    assert len(files) > 5
    for file in files:
        text = file.read_text()
        found = re.findall(
            r"\|\s*safe\b|autoescape|\bMarkup\b|<style|\sstyle=|\son\w+=|javascript:|<script(?! type)", text
        )
        assert not found, file
        forms = [form for form in re.findall(r"<form[^>]*>", text) if 'method="get"' not in form]
        assert not forms or file.name == "ui.html", f"{file}: forms with a token are made by ui.form, not {forms}"


def test_templates_quote_attributes_and_make_urls_by_functions() -> None:
    """Escaping does not help in an attribute without quotation marks, and not against a URL like ``javascript:``."""
    for file in sorted(TEMPLATES.rglob("*.html")):
        text = file.read_text()
        assert not re.findall(r"\s(?!url=)[\w-]+=\s*\{\{", re.sub(r"\{%.*?%\}", "", text)), (
            f"{file}: an attribute without quotation marks"
        )
        urls = re.findall(r'\s(?:href|src|action|formaction|poster|data)="([^"]*\{\{[^"]*)', text)
        foreign = [url for url in urls if not url.startswith(("{{ link(", "{{ static(")) and url not in CHECKED_URLS]
        assert foreign == [], file


#: Markdown of the runbook, whose renderer escapes all text: test_runbook_text_leads_to_sections_only has inputs.
RENDERED: Final = {"Markup(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))"}


def test_markup_is_made_of_constants() -> None:
    """Its method ``format`` escapes the values; a text that is put together before would not be escaped."""
    calls = [
        call
        for file in sorted((ROOT / "service/console").rglob("*.py"))
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Markup"
    ]
    assert calls
    assert {ast.unparse(call) for call in calls if not isinstance(call.args[0], ast.Constant)} == RENDERED


def test_script_is_one_small_module() -> None:
    script = (ROOT / "service/console/static/console.js").read_text()
    assert len(script.splitlines()) <= 100
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)
