"""``GATEWAY_*`` variables that no setting reads: most are misspelt, and the default is in force without a word.

They are reported and not refused. An older release must start with the variables of a newer one, or no rollback would
work; and Kubernetes adds variables of its own to pods where a Service has a name that begins with ``gateway``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from service.config.secret_files import SUFFIX, is_secret
from service.config.settings import PREFIX, Settings

#: Variables that are no settings: the commit of an image, which the build writes.
_OTHERS: Final = frozenset({"GATEWAY_COMMIT"})
#: https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables
_SERVICE_LINK: Final = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)", re.ASCII
)
_LINKED_PORT: Final = re.compile(r"(tcp|udp|sctp)://[^/]+:\d+", re.ASCII)
_MOST_REPORTED: Final = 20


@dataclass(frozen=True, slots=True)
class UnknownVariable:
    """``closest``: the known name that was probably meant, or None. The value is not here: it may be a secret."""

    name: str
    closest: str | None

    def __str__(self) -> str:
        return self.name if self.closest is None else f"{self.name} (did you mean {self.closest}?)"


def unknown_variables(environment: Mapping[str, str]) -> list[UnknownVariable]:
    """Return the variables with this prefix that nothing reads, in the order of their names, twenty at most."""
    known = _known_names()
    found = sorted(
        name
        for name, value in environment.items()
        if name.upper().startswith(PREFIX) and name.upper() not in known and not _is_service_link(name, value)
    )
    return [UnknownVariable(name, _closest(name.upper(), known)) for name in found[:_MOST_REPORTED]]


def _known_names() -> frozenset[str]:
    """Return the names of all settings, and of the files of those that are secrets. Names are read in any case."""
    fields = Settings.model_fields.items()
    names = (PREFIX + name.upper() for name, _ in fields)
    files = (PREFIX + name.upper() + SUFFIX for name, field in fields if is_secret(field))
    return frozenset((*names, *files)) | _OTHERS


def _is_service_link(name: str, value: str) -> bool:
    return _SERVICE_LINK.fullmatch(name) is not None or (
        name.endswith("_PORT") and _LINKED_PORT.fullmatch(value) is not None
    )


def _closest(name: str, known: frozenset[str]) -> str | None:
    if (setting := name.removesuffix(SUFFIX)) in known:
        return setting  # no secret: it is not read from a file
    # Without the prefix: its letters would make every name similar.
    parts = get_close_matches(name.removeprefix(PREFIX), [one.removeprefix(PREFIX) for one in sorted(known)], n=1)
    return PREFIX + parts[0] if parts else None
