"""Secrets from files: ``GATEWAY_<NAME>_FILE`` names a file that holds the value of ``GATEWAY_<NAME>``.

A file is not in the environment, which child processes, crash reports and ``docker inspect`` show.
"""

import os
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsError

SUFFIX: Final = "_FILE"


class SecretFileError(SettingsError):
    """A file of a secret cannot be used. The message has no part of its content."""

    def __init__(self, field: str, fault: str) -> None:
        super().__init__(f"{field}: {fault}")
        self.field = field
        self.fault = fault


def is_secret(field: FieldInfo) -> bool:
    """Return whether the value is a secret, or has one in it, as the URL of Redis may have."""
    return field.repr is False or holds_secret(field.annotation)


def holds_secret(annotation: Any) -> bool:
    """Return whether a value of this type is a secret."""
    return annotation is SecretStr or any(holds_secret(part) for part in get_args(annotation))


class SecretFiles(PydanticBaseSettingsSource):
    """The source of values from files, for every secret setting. White space around a value is removed."""

    def __init__(self, settings: type[BaseSettings], prefix: str) -> None:
        super().__init__(settings)
        self._prefix = prefix

    def __call__(self) -> dict[str, Any]:
        variables = {name.upper(): value for name, value in os.environ.items()}
        found = {}
        for name, field in self.settings_cls.model_fields.items():
            variable = f"{self._prefix}{name.upper()}"
            path = variables.get(variable + SUFFIX)
            if not path or not is_secret(field):
                continue
            if variables.get(variable):
                raise SecretFileError(name, f"is set, and {variable}{SUFFIX} too: set one of them")
            found[name] = _read(name, variable, path)
        return found

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not used: ``__call__`` returns all values."""
        raise NotImplementedError


def _read(name: str, variable: str, path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SecretFileError(name, f"the file {path} of {variable}{SUFFIX} cannot be read: {reason}") from None
    if not text:
        raise SecretFileError(name, f"the file {path} of {variable}{SUFFIX} is empty")
    return text
