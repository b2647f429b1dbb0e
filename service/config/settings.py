"""All settings, from ``GATEWAY_*`` variables. A process reads them once, at its start; importing reads none."""

import json
import re
from base64 import b64encode
from datetime import timedelta
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from service.config.groups.access import AccessSettings
from service.config.groups.dispatch import DispatchSettings
from service.config.groups.fal import FalSettings
from service.config.groups.identity import IdentitySettings
from service.config.groups.limits import NONE, DefaultLimitSettings
from service.config.groups.models import ModelSettings
from service.config.groups.openid import OpenIdSettings
from service.config.groups.processes import ProcessSettings
from service.config.groups.requests import RequestSettings
from service.config.groups.store import StoreSettings
from service.config.groups.streams import StreamSettings
from service.config.groups.videos import VideoSettings
from service.config.groups.webhooks import WebhookSettings
from service.config.secret_files import SecretFiles, holds_secret

PREFIX: Final = "GATEWAY_"
_REDACTED: Final = "[redacted]"


class Settings(
    ProcessSettings,
    StreamSettings,
    VideoSettings,
    WebhookSettings,
    DispatchSettings,
    RequestSettings,
    DefaultLimitSettings,
    AccessSettings,
    IdentitySettings,
    OpenIdSettings,
    ModelSettings,
    FalSettings,
    StoreSettings,
    BaseSettings,
):
    """Settings of the gateway and the workers. Times are seconds (``30``) or ISO 8601 durations (``PT30S``)."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments first, then files of secrets, then the environment."""
        del dotenv_settings, file_secret_settings
        return init_settings, SecretFiles(settings_cls, PREFIX), env_settings

    @property
    def submit_grace(self) -> timedelta:
        """How long a stopping process waits for a submit. An interrupted submit has an unknown outcome."""
        return self.fal_timeout + self.shutdown_grace

    def secrets(self) -> set[str]:
        """Values to redact from logs: keys, whole and in halves, tokens, the passwords of Redis, broker and proxies."""
        values = (getattr(self, name) for name in type(self).model_fields)
        whole = {value.get_secret_value() for value in values if isinstance(value, SecretStr)}
        parts = {part.strip() for value in whole for part in re.split("[,:]", value)}
        urls = (self.redis_url, self.broker_url, self.fal_proxy_url, self.media_proxy_url)
        return (whole | parts).union(*(_passwords(url) for url in urls if url is not None)) - {""}

    def environment(self) -> dict[str, str]:
        """Return the variables that give another process these settings. They include secrets: never log them."""
        return {
            PREFIX + name.upper(): _as_variable(getattr(self, name))
            for name in sorted(self.model_fields_set)
            if getattr(self, name) is not None or type(self).model_fields[name].default is not None
        }

    def describe(self) -> dict[str, str]:
        """Return the given settings for the log, without secrets. The log removes logins from URLs."""
        return {
            name: _REDACTED if holds_secret(field.annotation) else _as_variable(getattr(self, name))
            for name, field in sorted(type(self).model_fields.items())
            if name in self.model_fields_set
        }


def _passwords(url: str) -> set[str]:
    """Return the passwords of a URL, percent-encoded and decoded, and its logins as a header has them."""
    logins = {part.rpartition("@")[0] for part in urlsplit(url).netloc.split(",")}
    encoded = {login.partition(":")[2] for login in logins}
    basic = {b64encode(unquote(login).encode()).decode() for login in logins if login}
    return encoded | {unquote(password) for password in encoded} | basic


def _as_variable(value: Any) -> str:
    if value is None:
        return NONE
    from pydantic import TypeAdapter  # noqa: PLC0415  (only `up` and tests need it)

    if isinstance(value, SecretStr):
        return value.get_secret_value()
    plain = TypeAdapter(Any).dump_python(value, mode="json")
    return plain if isinstance(plain, str) else json.dumps(plain)  # a duration's text has no quotes
