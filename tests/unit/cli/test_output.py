"""Tables and JSON of operator commands."""

import json

import pytest

from service.cli.output import show_list

VIEWS = [{"id": "ten_1", "name": "acme", "budget": None}, {"id": "ten_2", "name": "a\x1b[2J[red]b", "budget": "5"}]
COLUMNS = {
    "id": lambda view: view["id"],
    "name": lambda view: view["name"],
    "budget": lambda view: view["budget"],
}


def test_list_in_a_pipe_is_one_json_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_list(VIEWS, COLUMNS, as_json=False)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == VIEWS


@pytest.fixture
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.cli.output._is_terminal", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "120")


@pytest.mark.usefixtures("_terminal")
def test_list_on_a_terminal_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    show_list(VIEWS, COLUMNS, as_json=False)
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["id", "name", "budget"]
    assert first.split() == ["ten_1", "acme", "-"]
    assert second.split() == ["ten_2", "a\\x1b[2J[red]b", "5"]


@pytest.mark.usefixtures("_terminal")
def test_list_on_a_narrow_terminal_keeps_ids_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    views = [{"id": f"ten_{26 * '0'}", "name": 80 * "n", "budget": 40 * "5"}]
    show_list(views, COLUMNS, as_json=False)
    assert f"ten_{26 * '0'} " in capsys.readouterr().out


@pytest.mark.usefixtures("_terminal")
def test_list_on_a_terminal_with_json_option_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    show_list(VIEWS, COLUMNS, as_json=True)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == VIEWS
