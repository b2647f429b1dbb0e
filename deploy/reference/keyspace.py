"""The page of the Redis keys: the docstring of ``service/store/keys.py``."""

from typing import Final

from reference import markdown
from service.store import keys

_INTRODUCTION: Final = """\
# Keyspace

All state of a deployment is in one Redis database, under these keys. The text below is the docstring of
`service/store/keys.py`. Nothing but the gateway and its workers may write these keys; their form may change with each
release."""


def page() -> str:
    return markdown.page(_INTRODUCTION, f"```text\n{(keys.__doc__ or '').strip()}\n```")
