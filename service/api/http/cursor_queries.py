"""Query parameter of lists that come in pages: where the page begins."""

from typing import Annotated, Final

from fastapi import Query

#: In characters: the base64 of a name of 256 characters, each of four bytes at most.
_LONGEST_NAME_CURSOR: Final = 1400

Cursor = Annotated[str | None, Query(max_length=100)]
#: Of a list by name.
NameCursor = Annotated[str | None, Query(max_length=_LONGEST_NAME_CURSOR)]
