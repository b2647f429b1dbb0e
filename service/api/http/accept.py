"""Content negotiation (RFC 9110, section 12): weights, wildcards, any case."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from fastapi import Request

#: Headers of a response that depends on ``Accept``.
NEGOTIATED: Final = {"vary": "accept"}
#: Elements of a header that are read. A head has room for tens of thousands.
_MOST_ELEMENTS: Final = 64
_HIGHEST: Final = 1.0


class _Score(NamedTuple):
    """How much a client wants an offer: by weight, then by how exactly it is named, then by its place in the header."""

    weight: float
    exactness: int
    earliness: int


def preferred(request: Request, *media_types: str) -> str:
    """Return the media type that the client prefers; the first one without ``Accept``, and if it accepts none."""
    lines = request.headers.getlist("accept")
    return (best(",".join(lines), media_types) or media_types[0]) if lines else media_types[0]


def best(header: str, offers: Sequence[str]) -> str | None:
    """Return the offer with the highest weight, the first one of equal offers; None: all are refused.

    An offer is a media type or the name of an encoding, in lower case. Of all elements that match an offer, the most
    exact one decides about it. An element with a malformed weight is ignored.
    """
    elements = list(_elements(header))
    scores = {offer: score for offer in offers if (score := _score(elements, offer)) is not None and score.weight > 0}
    return max(scores, key=lambda offer: scores[offer]) if scores else None


def _elements(header: str) -> Iterator[tuple[str, float]]:
    for element in header.lower().split(",", _MOST_ELEMENTS)[:_MOST_ELEMENTS]:
        name, *parameters = (part.strip() for part in element.split(";"))
        weight = _weight(parameters)
        if name and weight is not None:
            yield name, weight


def _weight(parameters: list[str]) -> float | None:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            digits = value.strip()
            if not digits.replace(".", "", 1).isdecimal() or not digits.isascii():
                return None
            return min(float(digits), _HIGHEST)
    return _HIGHEST


def _score(elements: list[tuple[str, float]], offer: str) -> _Score | None:
    matching = {_exactness(name, offer): place for place, (name, _) in [*enumerate(elements)][::-1]}
    exactness = max(matching, default=-1)
    return None if exactness < 0 else _Score(elements[matching[exactness]][1], exactness, -matching[exactness])


def _exactness(name: str, offer: str) -> int:
    """Return 2 for the same name, 1 for the same type with any subtype, 0 for any, -1 for another one."""
    if name == offer:
        return 2
    if name.endswith("/*") and name[:-1] == offer[: len(name) - 1]:
        return 1
    return 0 if name in ("*", "*/*") else -1
