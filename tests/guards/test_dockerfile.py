"""The Dockerfile and its build context."""

from pathlib import Path

from tests.support.dockerfile import instructions

ROOT = Path(__file__).parents[2]


def test_context_has_all_copied_files() -> None:
    """.dockerignore lets in the files that COPY needs, and no secrets or data."""
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        name
        for instruction, rest in instructions((ROOT / "Dockerfile").read_text())
        if instruction == "COPY" and not rest.startswith("--from")
        for name in rest.split()[:-1]
    ]
    assert len(copied) > 5
    assert [name for name in copied if not any(name == a or name.startswith(f"{a}/") for a in allowed)] == []
