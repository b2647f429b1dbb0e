"""Trials of mutants: pytest imports and collects the tests once, and each mutant is a fork that runs some of them.

A function that the modules call when they are imported, to make a constant or a decorator, was called by then without
its change. Its survivors are tried again, each with an import of its own.
"""

import contextlib
import gc
import math
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Final

import pytest

from tests.support.mutants import mutation
from tests.support.mutants.mutation import Mutation

_FORK: Final = multiprocessing.get_context("fork")
#: A mutant times out after 5 times the CPU time of its tests without a change, plus this many seconds.
_SECONDS: Final = 5
#: CPU time of a mutant that imports the tests and runs all of them.
_IMPORT_SECONDS: Final = 600
#: Or after so many times as long without using them, because it waits.
_WAITS: Final = 20
#: A mutant that allocates without an end fails with a MemoryError.
_BYTES: Final = 8 << 30


@dataclass(slots=True)
class Calls:
    """``seconds`` of CPU time of each test, by index, and the tests that call each function."""

    seconds: list[float] = field(default_factory=list)
    tests: dict[str, list[int]] = field(default_factory=dict)

    def tests_of(self, function: str) -> list[int]:
        return sorted(self.tests.get(function, ()), key=lambda index: self.seconds[index])


@dataclass(frozen=True, slots=True)
class Result:
    """``at_import``: the modules call the changed function when they are imported, before it was changed."""

    mutation: Mutation
    status: str
    at_import: bool

    @property
    def needs_import(self) -> bool:
        return self.at_import and self.status in ("survived", "no tests")


class FirstExampleOnly:
    """A plugin of pytest. It lets Hypothesis stop at the first example that fails: neither shrink it nor store it."""

    def pytest_sessionstart(self) -> None:
        import hypothesis  # a warning of pytest if it is imported earlier

        profile = hypothesis.settings(phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate], database=None)
        hypothesis.settings.register_profile("mutants", profile)
        hypothesis.settings.load_profile("mutants")


class Trials(FirstExampleOnly):
    """A plugin of pytest. It sends the result of each mutation."""

    def __init__(self, mutations: list[Mutation], sender: Connection) -> None:
        self._mutations = mutations
        self._sender = sender
        mutation.record_calls()

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run no test in this process: caches that a test fills would hide changes from the next one."""
        if session.testsfailed:
            raise session.Interrupted(f"{session.testsfailed} errors during collection")
        imports = mutation.called_functions()
        gc.freeze()
        calls = _calls(session)
        for each in self._mutations:
            self._sender.send(Result(each, _status(session, each, calls), each.function in imports))
        return True


def results(mutations: list[Mutation], arguments: list[str]) -> Iterator[Result]:
    """Yield the result of each mutation. ``arguments``: of pytest. This process imports neither gateway nor tests."""
    receiver, sender = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_collect_and_try, args=(mutations, arguments, sender))
    process.start()
    sender.close()
    repeated = []
    with contextlib.suppress(EOFError):
        while result := receiver.recv():
            if result.needs_import:
                repeated.append(result)
            else:
                yield result
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)
    for result in repeated:
        status = _status_of(_FORK.Process(target=_import_and_try, args=(result.mutation, arguments)), _IMPORT_SECONDS)
        yield replace(result, status=status)


def _collect_and_try(mutations: list[Mutation], arguments: list[str], sender: Connection) -> None:
    code = pytest.main(arguments, plugins=[Trials(mutations, sender)])
    sys.exit(0 if code == pytest.ExitCode.NO_TESTS_COLLECTED else int(code))  # the plugin runs them in forks


def _import_and_try(each: Mutation, arguments: list[str]) -> None:
    """Import the gateway and its tests with the change, and run the tests."""
    _limit(_IMPORT_SECONDS)
    mutation.activate(each)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    sys.exit(int(pytest.main([*arguments, "-x"], plugins=[FirstExampleOnly()])))


def _calls(session: pytest.Session) -> Calls:
    """Run all tests in a fork. Raise if one fails, because then it would fail with each mutant."""
    receiver, sender = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_send_calls, args=(session, sender))
    process.start()
    sender.close()
    try:
        calls: Calls | str = receiver.recv()
    except EOFError:
        calls = "The tests ended the process."
    process.join()
    if isinstance(calls, str):
        raise pytest.UsageError(calls)
    return calls


def _send_calls(session: pytest.Session, sender: Connection) -> None:
    mutation.record_calls()
    calls = Calls()
    for index, item in enumerate(session.items):
        started = time.process_time()
        _run(session.items, index)
        calls.seconds.append(time.process_time() - started)
        for function in mutation.called_functions():
            calls.tests.setdefault(function, []).append(index)
        if session.testsfailed:
            sender.send(f"{item.nodeid} fails without a change.")
            return
    sender.send(calls)


def _status(session: pytest.Session, each: Mutation, calls: Calls) -> str:
    tests = calls.tests_of(each.function)
    if not tests:
        return "no tests"
    items = [session.items[index] for index in tests]
    seconds = math.ceil(_SECONDS + 5 * sum(calls.seconds[index] for index in tests))
    return _status_of(_FORK.Process(target=_try, args=(session, each, items, seconds)), seconds)


def _status_of(process: ForkProcess, seconds: int) -> str:
    process.start()
    process.join(_WAITS * seconds)
    if process.is_alive():
        process.kill()
        process.join()
        return "timeout"
    return {0: "survived", -signal.SIGXCPU: "timeout"}.get(process.exitcode or 0, "killed")


def _try(session: pytest.Session, each: Mutation, items: list[pytest.Item], seconds: int) -> None:
    """Exit with 1 at the first test that fails."""
    _limit(seconds)
    session.config.pluginmanager.unregister(name="terminalreporter")
    mutation.activate(each)
    for index in range(len(items)):
        _run(items, index)
        if session.testsfailed:
            sys.exit(1)


def _limit(seconds: int) -> None:
    """Limit this fork. Its CPU time begins at 0."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))


def _run(items: list[pytest.Item], index: int) -> None:
    following = items[index + 1] if index + 1 < len(items) else None
    items[index].config.hook.pytest_runtest_protocol(item=items[index], nextitem=following)
