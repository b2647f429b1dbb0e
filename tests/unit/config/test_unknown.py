"""Variables that no setting reads: which are reported, with which name, and never with a value."""

import pytest

from service.config.secret_files import SUFFIX, is_secret
from service.config.settings import PREFIX, Settings
from service.config.unknown import unknown_variables

SECRET = "marked-secret-value"


@pytest.mark.parametrize(
    ("name", "closest"),
    [
        ("GATEWAY_RETENTON", "GATEWAY_RETENTION"),
        ("gateway_retenton", "GATEWAY_RETENTION"),
        ("GATEWAY_REDIS_ULR", "GATEWAY_REDIS_URL"),
        ("GATEWAY_REDIS_URL_FILES", "GATEWAY_REDIS_URL_FILE"),
        ("GATEWAY_FALKEY", "GATEWAY_FAL_KEY"),
        ("GATEWAY_FAL_KEY_FIEL", "GATEWAY_FAL_KEY_FILE"),
        ("GATEWAY_ADMIN_TOKENS", "GATEWAY_ADMIN_TOKEN"),
        ("GATEWAY_RETENTION_FILE", "GATEWAY_RETENTION"),  # no secret: it is not read from a file
        ("GATEWAY_METRIC_PORT", "GATEWAY_METRICS_PORT"),
        ("GATEWAY_XYZ_QQQ_WWW_123", None),
        ("GATEWAY_", None),
    ],
)
def test_unknown_variable_is_reported_with_the_closest_name(name: str, closest: str | None) -> None:
    (found,) = unknown_variables({name: SECRET, "OTHER": "x", "PATH": "y"})

    assert (found.name, found.closest) == (name, closest)
    assert SECRET not in str(found) + repr(found)


def test_every_setting_is_known_in_any_case_and_secrets_by_their_files() -> None:
    names = [PREFIX + name.upper() for name in Settings.model_fields]
    files = [PREFIX + name.upper() + SUFFIX for name, field in Settings.model_fields.items() if is_secret(field)]

    assert len(files) > 3
    assert unknown_variables(dict.fromkeys([*names, *files, *map(str.lower, names), "GATEWAY_COMMIT"], "x")) == []


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_misspelt_setting_has_a_proposal(name: str) -> None:
    """One letter less, for every setting."""
    (found,) = unknown_variables({PREFIX + name.upper()[:-2] + name.upper()[-1]: "x"})
    assert found.closest is not None


@pytest.mark.parametrize(
    ("name", "value", "is_known"),
    [
        ("GATEWAY_SERVICE_HOST", "10.0.0.1", True),
        ("GATEWAY_SERVICE_PORT", "8080", True),
        ("GATEWAY_SERVICE_PORT_HTTP", "8080", True),
        ("GATEWAY_PORT", "tcp://10.0.0.1:8080", True),
        ("GATEWAY_PORT_8080_TCP", "tcp://10.0.0.1:8080", True),
        ("GATEWAY_PORT_8080_TCP_ADDR", "10.0.0.1", True),
        ("GATEWAY_METRICS_SERVICE_HOST", "10.0.0.1", True),
        ("GATEWAY_REDIS_PORT", "tcp://10.0.0.1:6379", True),
        ("GATEWAY_REDIS_PORT", "6379", False),
        ("GATEWAY_PORT", "8080", False),
    ],
)
def test_service_links_of_kubernetes_are_no_settings(name: str, value: str, is_known: bool) -> None:
    assert (unknown_variables({name: value}) == []) is is_known


def test_report_is_bounded() -> None:
    assert len(unknown_variables({f"GATEWAY_X{number:04}": "x" for number in range(1000)})) == 20
