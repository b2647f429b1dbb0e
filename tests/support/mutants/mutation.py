"""Mutated modules: mutmut writes the changed functions next to the original ones, and an import hook loads them.

mutmut changes neither constants of modules nor functions with decorators, like properties and validators.
"""

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from mutmut.mutation.file_mutation import MutatedFile, mutate_file_contents
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state
from mutmut.utils.format_utils import mangled_name_from_mutant_name, orig_function_and_class_names_from_key

from tests.support.mutants.report import change_of


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change. ``function``: the name that ``called_functions`` has. ``change``: removed and added lines."""

    module: str
    function: str
    name: str
    change: str


class MutatedModules(MetaPathFinder):
    """Load the modules of ``files`` with all their mutations, of which none is active."""

    def __init__(self, root: Path, files: Sequence[Path]) -> None:
        self._paths = {module_name(path): root / path for path in files}
        self._mutated = {name: mutate_file_contents(str(path), path.read_text()) for name, path in self._paths.items()}

    def install(self) -> None:
        loaded = self._paths.keys() & sys.modules.keys()
        assert not loaded, f"{loaded} are imported already"
        sys.meta_path.insert(0, self)

    def find_spec(self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in self._paths:
            return None
        path = str(self._paths[name])
        return importlib.util.spec_from_file_location(name, path, loader=_Loader(name, path, self._mutated[name].code))

    def mutations(self) -> list[Mutation]:
        return [each for module, file in self._mutated.items() for each in _mutations(module, file)]


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, _name: str) -> CodeType:
        return compile(self._source, self.path, "exec", dont_inherit=True)


def module_name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def activate(mutation: Mutation) -> None:
    set_mutant_under_test(mutation.name)


def record_calls() -> None:
    set_mutant_under_test("stats")


def called_functions() -> set[str]:
    """Return the mutated functions called since the last time."""
    called = set(state()._stats)
    state()._stats.clear()
    return called


def _mutations(module: str, file: MutatedFile) -> Iterator[Mutation]:
    lines = file.code.split("\n")

    def source(name: str, function: str) -> list[str]:
        span = file.line_span_by_function_name[name]
        return [line.replace(name, function) for line in lines[span.start - 1 : span.end]]

    for mutant in file.mutant_names:
        mangled = mangled_name_from_mutant_name(mutant)
        function, _class = orig_function_and_class_names_from_key(mutant)
        before, after = source(f"{mangled}__mutmut_orig", function), source(mutant, function)
        change = change_of("\n".join(unified_diff(before, after, lineterm="")))
        yield Mutation(module, f"{module}.{mangled}", f"{module}.{mutant}", change)
