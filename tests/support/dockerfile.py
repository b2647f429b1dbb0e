"""The steps of a Dockerfile without an engine: its own instructions, in order, in an empty folder, as plain processes.

A bare virtual environment of this Python replaces the base image. Absolute paths are put under the folder, which is
the same for every stage, as ``/`` is. Instructions that need a container are listed in ``left_out``.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from string import Template
from typing import Final

_OURS: Final = re.compile(r"(?<![\w./-])/(?=(?:opt|src)\b)")
_NOT_OURS: Final = re.compile(r"^useradd\b")
_INHERITED: Final = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield each instruction with its arguments, continuation lines joined, without comments."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    for line in joined.splitlines():
        if line.strip():
            instruction, _, rest = line.strip().partition(" ")
            yield instruction.upper(), rest.strip()


@dataclass(frozen=True)
class Stage:
    """``environment`` does not include the machine's own variables."""

    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    healthcheck: tuple[str, ...] = ()


class Builder:
    """``build`` runs all steps; afterwards ``enter`` selects one stage at a time."""

    def __init__(self, dockerfile: Path, folder: Path, *, hurried: tuple[str, ...] = ()) -> None:
        """``hurried``: stages in which pip compiles nothing, because few of their modules run."""
        self._hurried = hurried
        self._text = dockerfile.read_text()
        self._context = dockerfile.parent
        self._folder = folder
        self._built_stages = folder / "stages"
        self._built_stages.mkdir()
        self.root = folder / "root"
        self.stages: dict[str, Stage] = {}
        self.left_out: list[str] = []
        self._arguments: dict[str, str] = {}
        self._current = ""
        self._python = folder / "python"
        subprocess.run([sys.executable, "-m", "venv", str(self._python)], check=True)

    def build(self) -> None:
        for instruction, rest in instructions(self._text):
            getattr(self, f"_{instruction.lower()}")(rest)

    def enter(self, name: str) -> Stage:
        """Move the files of the stage to ``root``."""
        if self._current != name:
            self.root.rename(self._built_stages / self._current)
            (self._built_stages / name).rename(self.root)
            self._current = name
        return self.stages[name]

    def environment(self, stage: Stage) -> dict[str, str]:
        mine = {name: value for name, value in os.environ.items() if name not in _INHERITED}
        path = f"{self._python}/bin:/usr/bin:/bin"
        own = {name: self._placed(value.replace("$PATH", path)) for name, value in stage.environment.items()}
        return {**mine, "PATH": path, **own}

    def _placed(self, text: str) -> str:
        return _OURS.sub(f"{self.root}/", text)

    def _inside(self, path: str) -> Path:
        return self.root / (Path(self.stages[self._current].folder) / path).as_posix().lstrip("/")

    def _change(self, **changes: object) -> None:
        self.stages[self._current] = replace(self.stages[self._current], **changes)  # type: ignore[arg-type]

    def _from(self, rest: str) -> None:
        base, name = re.fullmatch(r"(\S+) AS (\S+)", rest).groups()  # type: ignore[union-attr]
        base = Template(base).substitute(self._arguments)
        if self._current:
            self.root.rename(self._built_stages / self._current)
        if base in self.stages:
            shutil.copytree(self._built_stages / base, self.root, symlinks=True, copy_function=os.link)
        else:
            assert base.startswith("python:"), base
            self.root.mkdir()
        self.stages[name] = self.stages.get(base, Stage())
        self._current = name

    def _env(self, rest: str) -> None:
        added = dict(pair.split("=", 1) for pair in rest.split())
        self._change(environment={**self.stages[self._current].environment, **added})

    def _arg(self, rest: str) -> None:
        name, default = rest.split("=", 1)
        self._arguments[name] = default

    def _workdir(self, rest: str) -> None:
        self._change(folder=rest)
        self._inside(".").mkdir(parents=True, exist_ok=True)

    def _run(self, rest: str) -> None:
        if _NOT_OURS.match(rest):
            self.left_out.append(f"RUN {rest}")
            return
        stage = self.stages[self._current]
        hurried = {"PIP_NO_COMPILE": "1"} if self._current in self._hurried else {}
        environment = {**self.environment(stage), **self._arguments, **hurried}
        environment.pop("PIP_NO_CACHE_DIR", None)  # it makes an image small, and each run here load every package again
        result = subprocess.run(
            ["/bin/sh", "-ec", self._placed(rest)],
            cwd=self._inside("."),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, f"RUN {rest}\n{result.stdout}{result.stderr}"

    def _copy(self, rest: str) -> None:
        arguments = rest.split()
        if arguments[0].startswith("--from="):
            copy: Callable[..., object] = os.link  # stages share their files, as the layers of an image do
            source, ignored = self._built_stages / arguments.pop(0).removeprefix("--from="), None
        else:
            copy = shutil.copy2
            source, ignored = self._context, shutil.ignore_patterns("__pycache__")
        copy_tree = partial(shutil.copytree, symlinks=True, dirs_exist_ok=True, ignore=ignored, copy_function=copy)
        *names, target = arguments
        for name in names:
            self._copy_one(source / name.lstrip("/"), self._inside(target), copy, copy_tree, into=target.endswith("/"))

    @staticmethod
    def _copy_one(
        source: Path, target: Path, copy: Callable[..., object], copy_tree: Callable[..., object], *, into: bool
    ) -> None:
        if source.is_dir():
            copy_tree(source, target)
        else:
            (target if into else target.parent).mkdir(parents=True, exist_ok=True)
            copy(source, target / source.name if into else target)

    def _user(self, rest: str) -> None:
        self._change(user=rest)

    def _entrypoint(self, rest: str) -> None:
        self._change(entrypoint=tuple(json.loads(rest)), command=())

    def _cmd(self, rest: str) -> None:
        self._change(command=tuple(json.loads(rest)))

    def _healthcheck(self, rest: str) -> None:
        self._change(healthcheck=tuple(json.loads(rest.partition(" CMD ")[2])))

    def _expose(self, rest: str) -> None:
        self.left_out.append(f"EXPOSE {rest}")

    def command(self, *arguments: str) -> list[str]:
        """Start a command as the engine would, without root's rights over files."""
        placed = [self._placed(argument) for argument in arguments]
        return ["setpriv", "--bounding-set", "-all", "--no-new-privs", *placed] if os.geteuid() == 0 else placed

    def make_read_only(self) -> None:
        self._walk(lambda mode: mode & ~0o222)

    def make_writable(self) -> None:
        self._walk(lambda mode: mode | 0o200)

    def _walk(self, changed: object) -> None:
        for path in (self.root, *self.root.rglob("*")):
            if not path.is_symlink():
                path.chmod(changed(path.stat().st_mode & 0o7777))  # type: ignore[operator]
