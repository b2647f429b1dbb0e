"""Bodies of a create: defaults, limits, and every fault by pointer and type."""

import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.domain.field_types import (
    IMAGE_URL_LENGTH,
    MAX_COST,
    METADATA_KEY_LENGTH,
    METADATA_PAIRS,
    METADATA_VALUE_LENGTH,
    URL_LENGTH,
)
from service.domain.request import END_USER_LENGTH, LONGEST_EXPIRY, SEED_LIMIT, SHORTEST_EXPIRY, CreateGeneration
from service.domain.request_limits import RequestLimits, parse_create
from service.errors import Invalid, Malformed
from tests.support.factories import FULL_BODY as FULL
from tests.support.factories import create_body, create_request

EVERYTHING = RequestLimits(4000, ("480p", "720p", "1080p", "4k"), ("standard", "high"))
SENTINEL = "xyzzy-secret-text"


def parse(body: Any, limits: RequestLimits = EVERYTHING) -> CreateGeneration:
    return parse_create(body if isinstance(body, bytes) else json.dumps(body).encode(), limits)


def faults(body: Any, limits: RequestLimits = EVERYTHING) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as raised:
        parse(body, limits)
    return [(fault.pointer, fault.type) for fault in raised.value.errors]


# --- accepted bodies --------------------------------------------------------------------------------------------------


def test_minimal_body_has_fals_defaults() -> None:
    request = parse({"prompt": "a cat", "image_url": "https://example.com/a.png"})

    assert request.video() == {
        "prompt": "a cat",
        "image_url": "https://example.com/a.png",
        "resolution": "720p",
        "duration": "auto",
        "aspect_ratio": "auto",
        "generate_audio": True,
    }
    assert (request.metadata, request.priority, request.max_cost_usd, request.expires_in) == ({}, 0, None, None)


def test_full_body_is_accepted_unchanged() -> None:
    request = parse(FULL)

    upstream = {name: FULL[name] for name in FULL if name in request.video()}
    assert request.video() == upstream
    assert request.max_cost_usd == 2_500_000
    assert "customer-7" not in json.dumps(request.video()), "the end user's id does not reach fal"
    assert request.end_user_id == "customer-7"


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "x" * 4000},
        {"prompt": " \n a cat \t"},
        {"prompt": "кот 🐈 מילה"},
        {"image_url": "http://example.com/a.png"},
        {"image_url": "HTTPS://EXAMPLE.COM:8443/a%20b.png?x=1&y=2#part"},
        {"image_url": "https://example.com/" + "a" * (IMAGE_URL_LENGTH - len("https://example.com/"))},
        {"end_image_url": "https://example.com/" + "a" * (IMAGE_URL_LENGTH - len("https://example.com/"))},
        {"image_url": "data:image/png;base64," + "A" * URL_LENGTH},
        {"end_image_url": "DATA:image/JPEG;base64,AAAA"},
        {"image_url": "data:;base64,AAAA"},
        {"image_url": "data:application/octet-stream;base64,AAAA"},
        {"end_image_url": None},
        {"resolution": "480p"},
        {"duration": 4},
        {"duration": 15},
        {"duration": "15"},
        {"seed": 0},
        {"seed": SEED_LIMIT},
        {"seed": None},
        {"end_user_id": "u" * END_USER_LENGTH},
        {"end_user_id": None},
        {"webhook_url": None},
        {"metadata": {}},
        {"metadata": {f"key{n}": "v" for n in range(METADATA_PAIRS)}},
        {"metadata": {"k" * METADATA_KEY_LENGTH: "v" * METADATA_VALUE_LENGTH}},
        {"metadata": {"a": ""}},
        {"priority": 9},
        {"max_cost_usd": 0.5},
        {"max_cost_usd": 3},
        {"max_cost_usd": None},
        {"max_cost_usd": str(MAX_COST)},
        {"expires_in": SHORTEST_EXPIRY},
        {"expires_in": LONGEST_EXPIRY},
    ],
    ids=str,
)
def test_values_up_to_their_limits_are_accepted(changes: dict[str, Any]) -> None:
    parse(create_body(**changes))


@pytest.mark.parametrize(
    ("given_amount", "micro"),
    [("1.50", 1_500_000), ("0.000001", 1), (0.1, 100_000), (2, 2_000_000), ("1000000", 10**12)],
)
def test_max_cost_is_exact_micro_usd(given_amount: object, micro: int) -> None:
    assert parse(create_body(max_cost_usd=given_amount)).max_cost_usd == micro


# --- faults -----------------------------------------------------------------------------------------------------------

WRONG: list[tuple[dict[str, Any], str, str]] = [
    # missing and unknown
    ({"prompt": ...}, "/prompt", "missing"),
    ({"image_url": ...}, "/image_url", "missing"),
    ({"colour": "red"}, "/colour", "extra_forbidden"),
    ({"input": {}}, "/input", "extra_forbidden"),
    ({"Prompt": "x"}, "/Prompt", "extra_forbidden"),
    ({"a/b~c": 1}, "/a~1b~0c", "extra_forbidden"),
    ({"": 1}, "/", "extra_forbidden"),
    ({"__proto__": {}}, "/__proto__", "extra_forbidden"),
    # prompt
    ({"prompt": None}, "/prompt", "string_type"),
    ({"prompt": 5}, "/prompt", "string_type"),
    ({"prompt": ["a"]}, "/prompt", "string_type"),
    ({"prompt": ""}, "/prompt", "string_blank"),
    ({"prompt": " \t\n\u2003"}, "/prompt", "string_blank"),
    ({"prompt": "x" * 4001}, "/prompt", "string_too_long"),
    # URLs
    ({"image_url": None}, "/image_url", "string_type"),
    ({"image_url": 5}, "/image_url", "string_type"),
    ({"image_url": ""}, "/image_url", "url_scheme"),
    ({"image_url": "cat.png"}, "/image_url", "url_scheme"),
    ({"image_url": "/cat.png"}, "/image_url", "url_scheme"),
    ({"image_url": "//example.com/cat.png"}, "/image_url", "url_scheme"),
    ({"image_url": "example.com:80/cat.png"}, "/image_url", "url_scheme"),
    ({"image_url": "ftp://example.com/cat.png"}, "/image_url", "url_scheme"),
    ({"image_url": "file:///etc/passwd"}, "/image_url", "url_scheme"),
    ({"image_url": "javascript:alert(1)"}, "/image_url", "url_scheme"),
    ({"image_url": "data:image/svg+xml;utf8,AAAA"}, "/image_url", "data_uri"),
    ({"image_url": "data:image/png,AAAA"}, "/image_url", "data_uri"),
    ({"image_url": "DATA:;base64"}, "/image_url", "data_uri"),
    ({"webhook_url": "data:image/png;base64,AAAA"}, "/webhook_url", "url_scheme"),
    ({"image_url": "https://"}, "/image_url", "url_host"),
    ({"image_url": "https:///cat.png"}, "/image_url", "url_host"),
    ({"image_url": "https://:443/cat.png"}, "/image_url", "url_host"),
    ({"image_url": "https://user:pass@example.com/"}, "/image_url", "url_credentials"),
    ({"image_url": "https://user@example.com/"}, "/image_url", "url_credentials"),
    ({"image_url": "https://@example.com/"}, "/image_url", "url_credentials"),
    ({"image_url": "https://example.com/a b.png"}, "/image_url", "url_characters"),
    ({"image_url": " https://example.com/"}, "/image_url", "url_characters"),
    ({"image_url": "https://example.com/\n"}, "/image_url", "url_characters"),
    ({"image_url": "https://example.com/\x00"}, "/image_url", "url_characters"),
    ({"image_url": "https://example.com/\x7f"}, "/image_url", "url_characters"),
    ({"image_url": "https://example.com\\@evil.test/"}, "/image_url", "url_characters"),
    ({"image_url": "https://bücher.example/"}, "/image_url", "url_characters"),
    ({"image_url": "https://example.com/кот.png"}, "/image_url", "url_characters"),
    ({"image_url": "https://example.com:99999/"}, "/image_url", "url_form"),
    ({"image_url": "https://example.com:port/"}, "/image_url", "url_form"),
    ({"image_url": "https://[::1/"}, "/image_url", "url_form"),
    ({"image_url": "https://example.com/" + "a" * IMAGE_URL_LENGTH}, "/image_url", "string_too_long"),
    ({"end_image_url": "https://example.com/" + "a" * IMAGE_URL_LENGTH}, "/end_image_url", "string_too_long"),
    ({"webhook_url": "https://example.com/" + "a" * URL_LENGTH}, "/webhook_url", "string_too_long"),
    ({"end_image_url": "ftp://example.com/"}, "/end_image_url", "url_scheme"),
    ({"end_image_url": False}, "/end_image_url", "string_type"),
    ({"webhook_url": "not a url"}, "/webhook_url", "url_characters"),
    ({"webhook_url": "https://user:pass@example.com/"}, "/webhook_url", "url_credentials"),
    # texts from a list
    ({"resolution": "720"}, "/resolution", "literal_error"),
    ({"resolution": 720}, "/resolution", "literal_error"),
    ({"resolution": None}, "/resolution", "literal_error"),
    ({"resolution": "720P"}, "/resolution", "literal_error"),
    ({"duration": 3}, "/duration", "literal_error"),
    ({"duration": 16}, "/duration", "literal_error"),
    ({"duration": "3"}, "/duration", "literal_error"),
    ({"duration": "16"}, "/duration", "literal_error"),
    ({"duration": "05"}, "/duration", "literal_error"),
    ({"duration": " 5"}, "/duration", "literal_error"),
    ({"duration": "５"}, "/duration", "literal_error"),
    ({"duration": 5.0}, "/duration", "literal_error"),
    ({"duration": 5.5}, "/duration", "literal_error"),
    ({"duration": -5}, "/duration", "literal_error"),
    ({"duration": True}, "/duration", "literal_error"),
    ({"duration": None}, "/duration", "literal_error"),
    ({"duration": "AUTO"}, "/duration", "literal_error"),
    ({"duration": 10**4000}, "/duration", "literal_error"),
    ({"aspect_ratio": "16/9"}, "/aspect_ratio", "literal_error"),
    ({"aspect_ratio": None}, "/aspect_ratio", "literal_error"),
    ({"bitrate_mode": "low"}, "/bitrate_mode", "literal_error"),
    # booleans and numbers
    ({"generate_audio": 1}, "/generate_audio", "bool_type"),
    ({"generate_audio": "true"}, "/generate_audio", "bool_type"),
    ({"generate_audio": None}, "/generate_audio", "bool_type"),
    ({"seed": -1}, "/seed", "greater_than_equal"),
    ({"seed": SEED_LIMIT + 1}, "/seed", "less_than_equal"),
    ({"seed": 10**30}, "/seed", "less_than_equal"),
    ({"seed": True}, "/seed", "int_type"),
    ({"seed": 1.0}, "/seed", "int_type"),
    ({"seed": "1"}, "/seed", "int_type"),
    ({"priority": -1}, "/priority", "greater_than_equal"),
    ({"priority": 10}, "/priority", "less_than_equal"),
    ({"priority": False}, "/priority", "int_type"),
    ({"priority": None}, "/priority", "int_type"),
    ({"expires_in": SHORTEST_EXPIRY - 1}, "/expires_in", "greater_than_equal"),
    ({"expires_in": LONGEST_EXPIRY + 1}, "/expires_in", "less_than_equal"),
    ({"expires_in": "600"}, "/expires_in", "int_type"),
    ({"expires_in": 600.5}, "/expires_in", "int_type"),
    # money
    ({"max_cost_usd": True}, "/max_cost_usd", "money_type"),
    ({"max_cost_usd": []}, "/max_cost_usd", "money_type"),
    ({"max_cost_usd": {}}, "/max_cost_usd", "money_type"),
    ({"max_cost_usd": ""}, "/max_cost_usd", "money_form"),
    ({"max_cost_usd": "$1"}, "/max_cost_usd", "money_form"),
    ({"max_cost_usd": "1,50"}, "/max_cost_usd", "money_form"),
    ({"max_cost_usd": "0x10"}, "/max_cost_usd", "money_form"),
    ({"max_cost_usd": 0}, "/max_cost_usd", "money_range"),
    ({"max_cost_usd": "0.00"}, "/max_cost_usd", "money_range"),
    ({"max_cost_usd": -1}, "/max_cost_usd", "money_range"),
    ({"max_cost_usd": "NaN"}, "/max_cost_usd", "money_form"),
    ({"max_cost_usd": "sNaN"}, "/max_cost_usd", "money_form"),
    ({"max_cost_usd": "Infinity"}, "/max_cost_usd", "money_form"),
    ({"max_cost_usd": "1e99"}, "/max_cost_usd", "money_form"),
    ({"max_cost_usd": "9" * 5000}, "/max_cost_usd", "money_form"),
    ({"max_cost_usd": "1_0"}, "/max_cost_usd", "money_form"),
    ({"max_cost_usd": " 1.5 "}, "/max_cost_usd", "money_form"),
    ({"max_cost_usd": "١"}, "/max_cost_usd", "money_form"),
    ({"max_cost_usd": "0.0000001"}, "/max_cost_usd", "money_form"),
    ({"max_cost_usd": 1e-10}, "/max_cost_usd", "money_range"),
    ({"max_cost_usd": 10**4000}, "/max_cost_usd", "money_range"),
    ({"max_cost_usd": "1000000.000001"}, "/max_cost_usd", "money_range"),
    # end users and metadata
    ({"end_user_id": ""}, "/end_user_id", "string_too_short"),
    ({"end_user_id": "u" * (END_USER_LENGTH + 1)}, "/end_user_id", "string_too_long"),
    ({"end_user_id": 7}, "/end_user_id", "string_type"),
    ({"end_user_id": "a\nb"}, "/end_user_id", "string_characters"),
    ({"end_user_id": "a\x00"}, "/end_user_id", "string_characters"),
    ({"metadata": None}, "/metadata", "dict_type"),
    ({"metadata": []}, "/metadata", "dict_type"),
    ({"metadata": {"a": 1}}, "/metadata/a", "string_type"),
    ({"metadata": {"a": None}}, "/metadata/a", "string_type"),
    ({"metadata": {"a": {"b": "c"}}}, "/metadata/a", "string_type"),
    ({"metadata": {"": "v"}}, "/metadata", "metadata_key"),
    ({"metadata": {"k" * (METADATA_KEY_LENGTH + 1): "v"}}, "/metadata", "metadata_key"),
    ({"metadata": {"k": "v" * (METADATA_VALUE_LENGTH + 1)}}, "/metadata", "metadata_value"),
    ({"metadata": {f"key{n}": "v" for n in range(METADATA_PAIRS + 1)}}, "/metadata", "metadata_size"),
]


@pytest.mark.parametrize(("changes", "pointer", "kind"), WRONG, ids=lambda value: str(value)[:60])
def test_wrong_field_is_one_fault_with_its_pointer(changes: dict[str, Any], pointer: str, kind: str) -> None:
    assert faults(create_body(**changes)) == [(pointer, kind)]


def test_wrong_fields_are_reported_together() -> None:
    found = faults({"image_url": "cat.png", "seed": -1, "colour": "red"})

    assert found == [
        ("/prompt", "missing"),
        ("/image_url", "url_scheme"),
        ("/seed", "greater_than_equal"),
        ("/colour", "extra_forbidden"),
    ]


@pytest.mark.parametrize("body", [b"null", b"[]", b'"text"', b"5", b"true", b"[[{}]]"])
def test_json_without_object_is_a_fault_of_the_body(body: bytes) -> None:
    with pytest.raises(Invalid, match="must be a JSON object") as raised:
        parse(body)

    assert [fault.pointer for fault in raised.value.errors] == [""]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"{}}",
        b"{'prompt': 'x'}",
        b'{"prompt": "x",}',
        b'{"prompt": "\xff"}',
        b'{"prompt": "\\ud800"}',
        b'{"prompt": "a\nb"}',
        b'{"prompt": "\\x41"}',
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
        b"\x00",
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"seed": ' + b"9" * 5_000 + b"}",
        b'{"seed": 01}',
        b'{"seed": 1.}',
        b"prompt=a&image_url=b",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_body_without_json_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed, match="not valid JSON"):
        parse(body)


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
@pytest.mark.parametrize("field", [b"seed", b"duration", b"max_cost_usd", b"prompt", b"priority"])
def test_nan_and_infinity_are_refused(field: bytes, literal: bytes) -> None:
    with pytest.raises((Invalid, Malformed)):
        parse(b'{"prompt":"a","image_url":"https://example.com/","%s":%s}' % (field, literal))


def test_duplicate_member_last_one_counts() -> None:
    assert parse(b'{"prompt":"a","prompt":"b","image_url":"https://example.com/"}').prompt == "b"


# --- no input in an error ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [changes for changes, _, _ in WRONG if "prompt" not in changes], ids=str)
def test_fault_does_not_contain_the_prompt(changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as raised:
        parse(create_body(prompt=SENTINEL, **changes))

    assert SENTINEL not in str(raised.value) + repr(raised.value.errors)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__, "pydantic's own error contains the input"


@pytest.mark.parametrize(
    "body",
    [
        create_body(prompt=[SENTINEL]),
        create_body(prompt={SENTINEL: SENTINEL}),
        create_body(prompt=SENTINEL * 1000),
        create_body(image_url=SENTINEL),
        create_body(end_user_id=SENTINEL + "\n"),
        create_body(metadata={"k": SENTINEL * 100}),
        create_body(max_cost_usd=SENTINEL),
        SENTINEL,
        [SENTINEL],
    ],
    ids=lambda body: str(body)[:40],
)
def test_fault_does_not_contain_the_value(body: object) -> None:
    with pytest.raises(Invalid) as raised:
        parse(body)

    assert SENTINEL not in str(raised.value) + repr(raised.value.errors)


def test_malformed_does_not_contain_the_body() -> None:
    with pytest.raises(Malformed) as raised:
        parse(b'{"prompt": "' + SENTINEL.encode() + b'", oops}')

    assert SENTINEL not in str(raised.value)


# --- properties -------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.sampled_from(sorted(CreateGeneration.model_fields))


@given(JSON)
def test_any_json_is_accepted_malformed_or_invalid(body: Any) -> None:
    with contextlib.suppress(Malformed, Invalid):
        parse(body)


@given(FIELDS, JSON)
@example("max_cost_usd", 1e-320)
@example("max_cost_usd", "1e-999999")
@example("metadata", {"a": "\x00"})
def test_any_value_is_accepted_or_refused_at_its_pointer(field: str, value: Any) -> None:
    pointers: set[str] = set()
    try:
        parse(create_body(**{field: value}))
    except Invalid as refusal:
        pointers = {fault.pointer.split("/")[1] for fault in refusal.errors}
    except Malformed:
        unreadable = "\\ud" in json.dumps(value) or not all(map(_is_finite, _numbers(value)))
        pointers = {field} if unreadable else {"malformed"}

    assert pointers <= {field}


@given(st.binary(max_size=200))
def test_any_bytes_are_accepted_malformed_or_invalid(body: bytes) -> None:
    with pytest.raises((Malformed, Invalid)):
        parse(body)


@given(st.decimals("0.000001", "1000000", places=6))
def test_max_cost_of_any_decimal_is_exact(amount: Decimal) -> None:
    assert create_request(max_cost_usd=str(amount)).max_cost_usd == int(amount * 1_000_000)


def _numbers(value: Any) -> list[float]:
    match value:
        case float():
            return [value]
        case list():
            return [number for item in value for number in _numbers(item)]
        case dict():
            return [number for item in value.values() for number in _numbers(item)]
    return []


def _is_finite(number: float) -> bool:
    return abs(number) < float("inf")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"prompt": " "}, "must not be blank"),
        ({"prompt": "x" * 4001}, "must have at most 4000 characters, has 4001"),
        ({"image_url": "a b"}, "must be a percent-encoded URL: no spaces, control or non-ASCII characters"),
        ({"image_url": "ftp://a.example/"}, "must be an absolute http or https URL"),
        ({"image_url": "https:///a"}, "has no host"),
        ({"image_url": "https://a@b.example/"}, "must not carry credentials"),
        ({"image_url": "https://a.example:x/"}, "is not a URL"),
        ({"image_url": "data:,A"}, "must have its data as base64: data:image/jpeg;base64,..."),
        ({"webhook_url": "https://a.example/" + "a" * URL_LENGTH}, "must have at most 2048 characters"),
        ({"end_user_id": "a\x1f"}, "must not contain control characters"),
        ({"max_cost_usd": True}, "must be an amount in US dollars, as a decimal string or a number"),
        ({"max_cost_usd": "1,5"}, 'must be an amount in US dollars like "1.50"'),
        ({"max_cost_usd": 0}, "must be from 0.000001 to 1000000"),
        ({"metadata": {f"key{n}": "v" for n in range(17)}}, "must have at most 16 pairs"),
        ({"metadata": {"": "v"}}, "keys must have 1 to 64 characters"),
        ({"metadata": {"k": "v" * 513}}, "values must have at most 512 characters"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_fault_has_its_text(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(Invalid) as raised:
        parse(create_body(**changes))
    assert [fault.detail for fault in raised.value.errors] == [text]


def test_metadata_is_sorted_by_key() -> None:
    assert list(parse(create_body(metadata={"b": "1", "a": "2"})).metadata.items()) == [("a", "2"), ("b", "1")]


def test_byte_order_mark_is_ignored() -> None:
    assert parse(b"\xef\xbb\xbf" + json.dumps(create_body()).encode()) == parse(create_body())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"image_url": "data:;base64,AAAA"}, True),
        ({"end_image_url": "https://a.example/"}, False),
        ({"end_image_url": "data:;base64,AAAA"}, True),
    ],
)
def test_data_uri_of_either_image_is_found(changes: dict[str, Any], expected: bool) -> None:
    assert parse(create_body(**changes)).has_data_uris is expected
