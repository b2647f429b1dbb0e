"""The report of mutation runs, and the list of mutants that no test can kill."""

import pytest

from tests.support.mutants.report import Mutant, Report, change_of, explanations
from tests.support.mutants.run import ROOT, files_of, mirror_of, module_path

DIFF = """\
--- service/domain/retry.py
+++ service/domain/retry.py
@@ -1,3 +1,3 @@
 def spread(delay, jitter, rng):
-    return delay * (1 + jitter * (2 * rng() - 1))
+    return delay * (2 + jitter * (2 * rng() - 1))
"""


def test_change_of_a_diff_has_no_context() -> None:
    assert change_of(DIFF) == (
        "- return delay * (1 + jitter * (2 * rng() - 1))\n+ return delay * (2 + jitter * (2 * rng() - 1))"
    )


@pytest.mark.parametrize(
    ("text", "path", "tests"),
    [
        ("service/domain/retry.py", "service/domain/retry.py", "tests/unit/domain"),
        ("service.domain.retry", "service/domain/retry.py", "tests/unit/domain"),
        ("service/domain", "service/domain", "tests/unit/domain"),
        (
            "service/usecases/lifecycle/schedule.py",
            "service/usecases/lifecycle/schedule.py",
            "tests/unit/usecases/lifecycle",
        ),
    ],
)
def test_module_is_a_file_a_name_or_a_folder(text: str, path: str, tests: str) -> None:
    found = module_path(text)

    assert (found.as_posix(), mirror_of(found).as_posix()) == (path, tests)


@pytest.mark.parametrize("text", ["tests", "service/nothing.py", "service.nothing", "workers", ""])
def test_module_unknown_names_the_choices(text: str) -> None:
    with pytest.raises(SystemExit, match="service/domain, "):
        module_path(text)


def test_module_without_unit_tests_names_the_choices() -> None:
    with pytest.raises(SystemExit, match="service/domain, "):
        mirror_of(module_path("service/clock.py"))


def test_folder_has_its_modules_with_code() -> None:
    found = [path.as_posix() for path in files_of(module_path("service/domain/identity"))]

    assert "service/domain/identity/tokens.py" in found
    assert files_of(module_path("service/domain/retry.py")) == [module_path("service/domain/retry.py")]


def test_report_counts_survivors_without_explanation(capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        Mutant("service.a", "service.a.x_1", "killed", ""),
        Mutant("service.a", "service.a.x_2", "timeout", ""),
        Mutant("service.a", "service.a.x_3", "survived", "- a\n+ b"),
        Mutant("service.a", "service.a.x_4", "survived", "- a\n+ c"),
        Mutant("service.b", "service.b.x_5", "no tests", "- a\n+ b"),
    ]

    report = Report({("service.a", "- a\n+ b"): "same", ("service.a", "- z\n+ y"): "old"})

    for mutant in found:
        report.add(mutant)

    assert report.end(seconds=7) == 2
    printed = capsys.readouterr().out
    assert [line.split() for line in printed.splitlines() if line.startswith(("service.a ", "service.b ", "all "))] == [
        ["service.a", "4", "2", "1", "1", "66.7%"],
        ["service.b", "1", "0", "0", "1", "0.0%"],
        ["all", "5", "2", "1", "2", "50.0%"],
    ]
    assert "service.a.x_4: survived\n- a\n+ c" in printed
    assert "x_3" not in printed
    assert "does not survive:\n- z\n+ y" in printed


def test_explained_changes_are_of_lines_that_exist() -> None:
    for entry in explanations():
        lines = [line.strip() for line in (ROOT / f"{entry.module.replace('.', '/')}.py").read_text().splitlines()]
        removed = [line[2:] for line in entry.change.splitlines() if line.startswith("- ")]
        assert removed, entry
        assert set(removed) <= set(lines), entry
        assert entry.reason, entry
