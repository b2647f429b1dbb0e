"""What follows an image: cut off, unless it is a file of a second format."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.errors import ImageTrailingData
from service.media.formats import Format
from service.media.structure import cleaned
from service.media.trailers import second_format
from tests.support.image_files import PICTURES, SECOND_FORMATS, TRAILERS

KINDS: tuple[Format, ...] = ("jpeg", "png", "webp")
PADDING = st.text("\x00\t\n\f\r ", max_size=20).map(str.encode)
SECOND = st.sampled_from(sorted(SECOND_FORMATS)).map(SECOND_FORMATS.__getitem__)
CAMERA = st.sampled_from(sorted(TRAILERS)).map(TRAILERS.__getitem__)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TRAILERS)
def test_trailer_of_camera_is_cut_off(kind: Format, name: str) -> None:
    assert cleaned(kind, PICTURES[kind] + TRAILERS[name]) == PICTURES[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SECOND_FORMATS)
def test_trailer_of_second_format_is_refused(kind: Format, name: str) -> None:
    with pytest.raises(ImageTrailingData, match="follows the end of the image"):
        cleaned(kind, PICTURES[kind] + SECOND_FORMATS[name])


@given(kind=st.sampled_from(KINDS), parts=st.lists(st.one_of(st.binary(max_size=2000), CAMERA), max_size=4))
def test_trailer_of_any_bytes_is_cut_off(kind: Format, parts: list[bytes]) -> None:
    trailer = b"".join(parts)
    assume(second_format(trailer) is None)

    assert cleaned(kind, PICTURES[kind] + trailer) == PICTURES[kind]


@given(kind=st.sampled_from(KINDS), padding=PADDING, second=SECOND)
def test_trailer_with_padding_is_refused(kind: Format, padding: bytes, second: bytes) -> None:
    with pytest.raises(ImageTrailingData):
        cleaned(kind, PICTURES[kind] + padding + second)


def test_trailer_letters_of_markup_are_not_markup() -> None:
    """Phones append XML and JSON; a letter after ``<`` is no tag."""
    for text in (b"<x:xmpmeta>", b"<aaaa", b"<htmlx>", b"<scripting>", b"#hash", b"*/", b"%PDF", b"PK"):
        assert second_format(text) is None, text
