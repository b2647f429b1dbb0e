"""The log of operator commands."""

from types import SimpleNamespace

import pytest

from service.cli.ops import session
from service.observability import log
from tests.support import factories


class LogConfigured(Exception):
    """Carries the level."""


@pytest.mark.parametrize(
    ("level", "is_terminal", "expected"),
    [("INFO", True, "WARNING"), ("INFO", False, "INFO"), ("DEBUG", True, "DEBUG"), ("ERROR", True, "ERROR")],
)
def test_log_on_a_terminal_has_warnings_only(
    monkeypatch: pytest.MonkeyPatch, level: str, is_terminal: bool, expected: str
) -> None:
    def configure(level: str, **_: object) -> None:
        raise LogConfigured(level)

    settings = factories.settings("redis://127.0.0.1:9/0", log_level=level)
    monkeypatch.setattr(session, "read_settings", lambda: settings)
    monkeypatch.setattr(session, "sys", SimpleNamespace(stderr=SimpleNamespace(isatty=lambda: is_terminal)))
    monkeypatch.setattr(log, "configure", configure)

    with pytest.raises(LogConfigured, match=f"^{expected}$"):
        session.with_runtime(lambda _: None)  # type: ignore[arg-type,return-value]
