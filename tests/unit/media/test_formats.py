"""Formats by their first bytes, and the errors of formats that are not accepted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ImageFormat
from service.media.formats import accepted_format, expected, format_of
from tests.support.image_files import OTHERS, PICTURES


@pytest.mark.parametrize("name", OTHERS)
def test_format_error_names_format_and_advice(name: str) -> None:
    content, words = OTHERS[name]

    with pytest.raises(ImageFormat) as raised:
        accepted_format(content, pointer="/image_url")

    assert words in raised.value.reason
    assert "Only JPEG, PNG and WebP" in raised.value.reason
    assert raised.value.errors[0].pointer == "/image_url"


@pytest.mark.parametrize("kind", PICTURES)
def test_format_of_accepted_images(kind: str) -> None:
    assert accepted_format(PICTURES[kind]) == kind


@given(st.binary(max_size=600))
def test_format_of_any_bytes_is_one_or_an_error(head: bytes) -> None:
    if format_of(head) is None:
        with pytest.raises(ImageFormat):
            accepted_format(head)


@given(st.text(), st.text())
def test_format_expected_by_any_label_is_accepted(label: str, name: str) -> None:
    assert expected(label, name) in PICTURES


@pytest.mark.parametrize(
    ("label", "name", "kind"),
    [
        ("image/jpeg", "a.png", "jpeg"),
        ("IMAGE/JPG; q=1", "", "jpeg"),
        ("image/png", "", "png"),
        ("application/octet-stream", "photo.WEBP", "webp"),
        ("", "photo.jpg", "jpeg"),
        ("image/heic", "IMG_1.HEIC", "jpeg"),
        ("application/octet-stream", "blob", "jpeg"),
    ],
)
def test_format_expected_by_label(label: str, name: str, kind: str) -> None:
    assert expected(label, name) == kind
