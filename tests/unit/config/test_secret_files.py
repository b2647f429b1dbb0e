"""Secrets from files: which settings have one, and what is refused."""

from pathlib import Path

import pytest

from service.config.secret_files import SecretFileError, is_secret
from service.config.settings import PREFIX, Settings
from tests.support import factories

SECRETS = {
    "fal_key": "hush-id:hush-secret",
    "fal_admin_key": "hush-admin-id:hush-admin-secret",
    "secret_key": factories.SECRET_KEY,
    "admin_token": "hush-admin-token-of-some-length",
    "oidc_client_secret": "hush-oidc-client-secret",
    "operator_token": "sgo_hush-operator-token",
    "redis_url": "redis://:hush-password@10.0.0.1:6379/0",
    "fal_proxy_url": "http://user:hush-password@10.0.0.3:3128",
    "media_proxy_url": "http://user:hush-password@10.0.0.4:3128",
    "broker_url": "amqp://user:hush-password@10.0.0.2//",
}


@pytest.fixture(autouse=True)
def required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_FAL_KEY", "id:secret")
    monkeypatch.setenv("GATEWAY_SECRET_KEY", factories.OTHER_SECRET_KEY)


def use_file(monkeypatch: pytest.MonkeyPatch, name: str, path: Path) -> str:
    variable = f"{PREFIX}{name.upper()}"
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(f"{variable}_FILE", str(path))
    return variable


def test_every_secret_setting_has_a_file() -> None:
    assert {name for name, field in Settings.model_fields.items() if is_secret(field)} == set(SECRETS)


@pytest.mark.parametrize("name", SECRETS)
def test_secret_is_read_from_file_without_white_space(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "secret"
    file.write_text(f"\n {SECRETS[name]} \r\n")
    use_file(monkeypatch, name, file)
    settings = Settings()
    value = getattr(settings, name)
    assert (value if isinstance(value, str) else value.get_secret_value()) == SECRETS[name]
    assert settings.environment()[f"{PREFIX}{name.upper()}"] == SECRETS[name]
    assert "hush" not in repr(settings)


@pytest.mark.parametrize("name", SECRETS)
def test_secret_in_variable_and_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRETS[name])
    variable = use_file(monkeypatch, name, file)
    monkeypatch.setenv(variable, SECRETS[name])
    with pytest.raises(SecretFileError, match=f"{name}: is set, and {variable}_FILE too") as raised:
        Settings()
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "fault"),
    [(None, "cannot be read: No such file or directory"), (b" \n", "is empty"), (b"\xff\xfe", "it is not text")],
)
def test_secret_file_unusable_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, fault: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    use_file(monkeypatch, "fal_key", file)
    with pytest.raises(SecretFileError, match=fault) as raised:
        Settings()
    assert str(file) in str(raised.value)


def test_secret_file_value_is_validated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("short")
    use_file(monkeypatch, "secret_key", file)
    with pytest.raises(ValueError, match="32 random bytes") as raised:
        Settings()
    assert not isinstance(raised.value, SecretFileError)


def test_file_of_setting_without_secret_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_file(monkeypatch, "log_level", tmp_path / "missing")
    assert Settings().log_level == "INFO"
