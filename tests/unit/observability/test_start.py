"""The first lines of a process."""

import json

import pytest

from service.observability import log
from service.observability.start import log_start
from tests.support import factories


@pytest.mark.parametrize("variables", [{}, {"GATEWAY_RETENTON": "marked-value", "GATEWAY_FAL_KYE": "marked-key"}])
def test_start_warns_of_unknown_variables_in_one_line(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = factories.settings("redis://127.0.0.1:1")
    log.configure("INFO", secrets=settings.secrets())

    log_start(settings)

    text = capfd.readouterr().err
    first, *others = (json.loads(line) for line in text.splitlines())
    assert first["event"] == "process_started"
    assert [(line["event"], line["level"]) for line in others] == [("settings_unknown", "warning")] * bool(variables)
    for line in others:
        assert line["variables"] == [
            "GATEWAY_FAL_KYE (did you mean GATEWAY_FAL_KEY?)",
            "GATEWAY_RETENTON (did you mean GATEWAY_RETENTION?)",
        ]
    assert "marked" not in text
