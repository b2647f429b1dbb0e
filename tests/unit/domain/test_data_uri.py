"""Data URIs with base64 by the forgiving grammar of the WHATWG."""

import base64
import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain import data_uri
from service.domain.data_uri import NotBase64, decoded, has_base64, is_data_uri

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def content(text: str) -> bytes:
    return b"".join(decoded(f"data:;base64,{text}"))


def forgiving(text: str) -> bytes | None:
    """The algorithm as the standard words it, on the whole text."""
    text = re.sub("[\t\n\f\r ]", "", text)
    if len(text) % 4 == 0:
        text = re.sub("={1,2}$", "", text)
    if len(text) % 4 == 1 or set(text) - set(ALPHABET):
        return None
    bits = "".join(f"{ALPHABET.index(character):06b}" for character in text)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits) - 7, 8))


@pytest.fixture(params=[4, 7, 64], ids="pieces of {}".format)
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_uri, "_PIECE", request.param)


@pytest.mark.usefixtures("pieces")
@given(text=st.text(ALPHABET + "=" * 6 + "-_\t\n\f\r ,%", max_size=40))
def test_base64_is_decoded_as_the_standard_says(text: str) -> None:
    wanted = None if "%" in text else forgiving(text)
    if wanted is None:
        if "%" not in text:
            with pytest.raises(NotBase64):
                content(text)
    else:
        assert content(text) == wanted


@pytest.mark.usefixtures("pieces")
@given(
    given_bytes=st.binary(max_size=60),
    columns=st.integers(1, 30),
    padded=st.booleans(),
    percent=st.booleans(),
)
def test_base64_of_any_bytes_returns_them(given_bytes: bytes, columns: int, padded: bool, percent: bool) -> None:
    text = base64.b64encode(given_bytes).decode()
    text = text if padded else text.rstrip("=")
    text = "\r\n".join(text[at : at + columns] for at in range(0, len(text), columns))
    assert content(quote(text, safe="") if percent else text) == given_bytes


@pytest.mark.parametrize("end", ["AAAX", "AAXX", "AXX=", "XX==", "AAX", "XA"])
def test_base64_padding_is_no_other_character(end: str) -> None:
    assert content(f"AAAA{end}") == forgiving(f"AAAA{end}")


@pytest.mark.parametrize("text", ["A-", "AAA_", "-_-_", "AAAA" * 99 + "A-=="])
def test_base64url_is_refused_by_name(text: str) -> None:
    with pytest.raises(NotBase64) as refused:
        content(text)

    assert str(refused.value) == "has base64url (with - and _); encode the image as standard base64 (with + and /)"


@pytest.mark.parametrize("text", ["A", "AAAAA", "=", "A===", "AA=A", "AA==AA==", "AA!A", "é", "AA-!", "AA,AAAA"])
def test_base64_malformed_is_refused(text: str) -> None:
    with pytest.raises(NotBase64) as refused:
        content(text)

    early = text in ("A", "AAAAA")
    assert str(refused.value) == "is not valid base64" + (": it ends early" if early else "")


@pytest.mark.parametrize(
    ("uri", "is_one", "is_base64"),
    [
        ("data:image/png;base64,AAAA", True, True),
        ("DATA:IMAGE/PNG;BASE64,AAAA", True, True),
        (" \n data:;base64,", True, True),
        ("data:application/octet-stream; base64 ,AAAA", True, True),
        ("data:image/jpg;name=a.jpg;charset=utf-8;base64,AAAA", True, True),
        ("data:;base64,AAAA,", True, True),  # the first comma ends the head
        ("data:image/png,AAAA", True, False),
        ("data:image/png,;base64,AAAA", True, False),
        ("data:base64,AAAA", True, False),
        ("data:image/png;base64;x=1,AAAA", True, False),
        ("data:image/png;base64", True, False),
        ("data:" + "a" * 5000 + ";base64,AAAA", True, False),
        ("https://example.com/data:,", False, False),
    ],
)
def test_data_uri_head(uri: str, is_one: bool, is_base64: bool) -> None:
    assert (is_data_uri(uri), is_one and has_base64(uri)) == (is_one, is_base64)
