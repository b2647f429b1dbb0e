"""A worker whose names below `example` are looked up at a test's name server: ``celery -A tests.support.named_worker``.

The lookups block their thread, as those of the C library do. ``NAME_SERVER`` is its address.
"""

import os
import socket
from typing import Any, Final

from tests.support.nameserver import ask

MODULE: Final = "tests.support.named_worker"
NAME_SERVER: Final = "NAME_SERVER"
#: As long as the C library waits for a name server with the default of `resolv.conf`: twice 5 s.
_SECONDS: Final = 10.0
_system = socket.getaddrinfo


def _getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> list[Any]:
    if not str(host).endswith(".example"):
        return _system(host, port, *arguments, **options)
    address, _, number = os.environ[NAME_SERVER].partition(":")
    try:
        found = ask((address, int(number)), str(host), seconds=_SECONDS)
    except TimeoutError:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution") from None
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]


if NAME_SERVER in os.environ:  # in that worker, not in a test that imports this module
    socket.getaddrinfo = _getaddrinfo
    from workers import app  # noqa: F401  (what `celery -A` looks for)
