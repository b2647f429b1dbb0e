"""Rules for every module: import contracts, caught exceptions, Lua headers, forbidden texts."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from service.store.redis.scripts import Script
from tests.guards.repository import ROOT, files, modules

LUA = sorted((ROOT / "service/store").glob("*/*.lua"))


def test_import_contracts_hold() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]

    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout + result.stderr


def test_body_is_read_in_one_module() -> None:
    """``bodies`` bounds its bytes, its time, and what its tenant holds."""
    reads = re.compile(r"request\.(body|stream|form|json|receive)\b|_receive\b")
    readers = {path.name for path in modules("service/api") if reads.search(path.read_text())}

    assert readers == {"bodies.py"}


@pytest.mark.parametrize("module", ["service.cli", "service.cli.client.create_video"])
def test_command_line_imports_no_gateway(module: str) -> None:
    """The imports of the gateway take a second before `generate` can start; without them it takes a fifth of that."""
    heavy = ("aiohttp", "celery", "cryptography", "fastapi", "pydantic", "redis", "service.runtime", "uvicorn")
    code = f"import sys, {module}; sys.stdout.write(' '.join(n for n in {heavy!r} if n in sys.modules))"

    assert output_of(code) == ""


def test_gateway_imports_no_optional_modules() -> None:
    """Each of these modules takes four megabytes in every process."""
    code = "import sys, service.app; sys.stdout.write(' '.join(n for n in ('PIL', 'obstore') if n in sys.modules))"

    assert output_of(code) == ""


def output_of(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_times_of_callers_have_one_type() -> None:
    """pydantic's own also accept numbers; see ``service/domain/timestamps.py``."""
    users = {path.name for path in modules("service") if "AwareDatetime" in path.read_text()}

    assert users == {"timestamps.py"}


def test_parts_of_bodies_are_sent_in_one_module() -> None:
    """There each part has a time limit, so that a client that reads too little is disconnected."""
    sends = re.compile(r"StreamingResponse|FileResponse|EventSourceResponse|\"more_body\": True")
    found = [path.relative_to(ROOT).as_posix() for path in modules("service") if sends.search(path.read_text())]

    assert found == ["service/api/http/streaming.py"]


def test_suppressed_exceptions_have_a_reason() -> None:
    """``contextlib.suppress`` states the intention; an ``except`` that only passes does not."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules("service", "workers", "deploy")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler) and all(map(_does_nothing, node.body))
    ]

    assert silent == []


def _does_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass | ast.Continue) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def test_modules_have_docstrings() -> None:
    mute = [
        str(path.relative_to(ROOT))
        for path in modules("service", "workers", "deploy/sandbox")
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]

    assert mute == []


def test_lua_scripts_are_found() -> None:
    assert LUA


@pytest.mark.parametrize("script", LUA, ids=lambda path: path.name)
def test_lua_scripts_have_headers(script: Path) -> None:
    lines = script.read_text().splitlines()
    header = lines[: next(number for number, line in enumerate(lines) if not line.startswith("--"))]
    text = "\n".join(header)

    assert header[0].startswith("-- "), "begins with a description"
    for section in ("KEYS", "ARGV", "RETURNS"):
        assert re.search(rf"^-- {section}  ", text, re.MULTILINE), section


#: Names of a script that its header does not declare: the Lua library, and what Redis provides.
LUA_GLOBALS = {
    *("ARGV", "KEYS", "cjson", "ipairs", "math", "next", "redis", "string", "table", "tonumber", "type", "unpack"),
}
LUA_KEYWORDS = {
    *(
        "and",
        "break",
        "do",
        "else",
        "elseif",
        "end",
        "false",
        "for",
        "function",
        "if",
        "in",
        "local",
        "nil",
        "not",
        "or",
    ),
    *("repeat", "return", "then", "true", "until", "while"),
}


@pytest.mark.parametrize("script", LUA, ids=lambda path: path.name)
def test_lua_parameters_are_used(script: Path) -> None:
    """The parameter is used by the script itself, or by a part that it shares."""
    loaded = Script(script.stem)
    names = [*loaded.keys.locals, loaded.keys.start, *loaded.arguments.locals, loaded.arguments.start]
    used = _lua_names(loaded.text)
    unused = [name for name in names if name is not None and used.count(name) < 2]  # one is its declaration

    assert unused == []


@pytest.mark.parametrize("script", LUA, ids=lambda path: path.name)
def test_lua_names_are_declared(script: Path) -> None:
    """A missing declaration would otherwise fail at the first call of that line, in production."""
    text = Script(script.stem).text
    code = _without_texts(text)
    declared = {name for names in re.findall(r"local (?:function )?([\w, ]+)", code) for name in names.split(", ")}
    declared |= {name for names in re.findall(r"\bfor ([\w, ]+) (?:in|=)", code) for name in names.split(", ")}
    declared |= {name for names in re.findall(r"function \w*\(([\w, ]*)\)", code) for name in names.split(", ")}

    assert set(_lua_names(text)) - {name.strip() for name in declared} - LUA_GLOBALS - LUA_KEYWORDS == set()


@pytest.mark.parametrize("script", LUA, ids=lambda path: path.name)
def test_lua_parameters_are_read_by_name(script: Path) -> None:
    assert re.findall(r"(?:KEYS|ARGV)\[\d+\]", script.read_text()) == []


def _without_texts(code: str) -> str:
    """Return Lua code without comments and strings."""
    return re.sub(r"--[^\n]*|\"[^\"\n]*\"|'[^'\n]*'", "", code)


def _lua_names(code: str) -> list[str]:
    """Return the names in Lua code, without fields of tables."""
    return re.findall(r"(?<![\w.])[A-Za-z_]\w*(?!\w| = [^\n]*,\n)", _without_texts(code))


@pytest.mark.parametrize("script", LUA, ids=lambda path: path.name)
def test_lua_scripts_have_one_caller(script: Path) -> None:
    loads = [
        str(path.relative_to(ROOT))
        for path in modules("service", "workers")
        for _ in re.findall(rf"""Script\(["']{script.stem}["']\)""", path.read_text())
    ]

    assert len(loads) == 1, loads
    caller = ROOT / loads[0]
    assert caller.parent == script.parent, "the script is in the folder of the store that calls it"
    constant = re.search(rf"""(_\w+)\b.* = Script\(["']{script.stem}["']\)""", caller.read_text())
    assert constant
    assert len(re.findall(rf"\b{constant[1]}\b", caller.read_text())) >= 2, "declared and called"


FORBIDDEN = {
    "the address of a package index": re.compile(
        r"pypi\.org/simple|files\.pythonhosted\.org|test\.pypi\.org|registry\.npmjs\.org|--(extra-)?index-url"
        r"|(PIP|UV)_(EXTRA_)?INDEX_URL|\[\[tool\.uv\.index\]\]",
        re.IGNORECASE,
    ),
    "somebody's home folder": re.compile(r"(?<![\w.])/(home|Users)/[a-z]\w*/|(?<![\w.])/root/|[A-Z]:\\Users\\"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_files_do_not_contain(what: str) -> None:
    this = Path(__file__)
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files()
        if path != this
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if FORBIDDEN[what].search(line)
    ]

    assert found == []


def test_test_modules_are_collected() -> None:
    """A test in a file that pytest does not collect never fails."""
    strays = [
        str(path.relative_to(ROOT))
        for path in modules("tests")
        if not path.name.startswith("test_") and re.search(r"^(async )?def test_", path.read_text(), re.MULTILINE)
    ]

    assert strays == []
