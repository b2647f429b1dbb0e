"""The content of callbacks, row by row; and that a callback has the same outcome as the result."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.domain.callback import Callback, address, without_secret
from service.domain.failure import Failure
from service.domain.generation import Output, Video
from service.domain.outcomes import Canceled, Failed, Succeeded
from service.store.generations.callbacks import dump, load
from service.upstream.http_result import HttpResponse
from service.upstream.results import callback_outcome, read_callback, result_outcome
from tests.support import factories

R = "019e161b-386c-7d33-8106-f2de1a3ff595"
VIDEO = {"video": {"url": "https://v3b.fal.media/files/b/0a9e/video.mp4"}, "seed": 7}
POLICY = {"detail": [{"loc": ["body", "prompt"], "msg": "no", "type": "content_policy_violation"}]}
LOST = {"payload": None, "payload_error": "The output could not be serialized"}
IDS = {"request_id": R, "gateway_request_id": "another"}


def body(**fields: Any) -> bytes:
    return json.dumps({**IDS, **fields}).encode()


READ: list[tuple[bytes, Callback | None]] = [
    (body(status="OK", payload=VIDEO), Callback(R, 200, VIDEO)),
    (body(status="ERROR", error="Invalid status code: 422", payload=POLICY), Callback(R, 422, POLICY)),
    (body(status="ERROR", error="Unexpected status code: 500", payload=POLICY), Callback(R, 500, POLICY)),
    (body(status="ERROR", error="499", payload=POLICY), Callback(R, 499, POLICY)),
    (body(status="ERROR", error="it broke", payload=POLICY), Callback(R, 422, POLICY)),
    (body(status="ERROR", error="404 is not at the end.", payload=POLICY), Callback(R, 422, POLICY)),
    (body(status="ERROR", error="code 200", payload=POLICY), Callback(R, 422, POLICY)),
    (body(status="ERROR", error="took 1500", payload=POLICY), Callback(R, 422, POLICY)),
    (body(status="ERROR", error=422, payload=POLICY), Callback(R, 422, POLICY)),
    (body(status="ERROR", payload=POLICY), Callback(R, 422, POLICY)),
    # without a payload, it states that a request ended, and which one
    (body(status="OK", **LOST), Callback(R)),
    (body(status="ERROR", error="Invalid status code: 404", **LOST), Callback(R)),
    (body(status="OK"), Callback(R)),
    (body(status="OK", payload={}), Callback(R)),
    (body(status="OK", payload="text"), Callback(R)),
    (body(status="OK", payload=[VIDEO]), Callback(R)),
    (body(status="DONE", payload=VIDEO), Callback(R)),
    (body(payload=VIDEO), Callback(R)),
    (body(), Callback(R)),
    # not even that
    (b"", None),
    (b"{", None),
    (b"null", None),
    (b"[]", None),
    (b"\xff", None),
    (b"[" * 60_000, None),
    (b'{"status":"OK"}', None),
    (b'{"request_id":null}', None),
    (b'{"request_id":""}', None),
    (b'{"request_id":7}', None),
    (b'{"request_id":"' + b"x" * 257 + b'"}', None),
]


@pytest.mark.parametrize(("content", "callback"), READ)
def test_callback_fields_are_parsed(content: bytes, callback: Callback | None) -> None:
    assert read_callback(content) == callback


OUTCOMES: list[tuple[Callback, Succeeded | Failed | Canceled | None]] = [
    (Callback(R, 200, VIDEO), Succeeded(Output(Video(VIDEO["video"]["url"]), seed=7), None)),  # type: ignore[index]
    (Callback(R, 422, POLICY), Failed(Failure("content_policy", "no", detail=POLICY["detail"]), None)),
    (Callback(R, 499, {"detail": "gone"}), Canceled(None)),
    # the end is unknown: a poll finds it
    (Callback(R), None),
    (Callback(R, 200, {"seed": 7}), None),
    (Callback(R, 200, POLICY), None),
    (Callback(R, 500, {"detail": "oops"}), None),
    (Callback(R, 403, {"detail": "User is locked."}), None),
    (Callback(R, 404, {"status": "NOT_FOUND"}), None),
    (Callback(R, 400, {"detail": "Request is still in progress"}), None),
]


@pytest.mark.parametrize(("callback", "outcome"), OUTCOMES)
def test_callback_outcome(callback: Callback, outcome: Succeeded | Failed | Canceled | None) -> None:
    assert callback_outcome(callback) == outcome


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([R, "OK", "ERROR", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["detail", "video", "url", "msg", "type", "status"]) | st.text(), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@given(st.sampled_from(["OK", "ERROR", "x"]), JSON, JSON)
@example("OK", None, {"video": {"url": "\ud800"}})
def test_callback_any_payload_round_trip(status: str, error: Any, payload: Any) -> None:
    callback = read_callback(body(status=status, error=error, payload=payload))
    assert callback is not None
    assert load(dump(callback)) == callback
    callback_outcome(callback)


@pytest.mark.parametrize("depth", [60, 100, 250, 900])
def test_callback_too_deep_payload_is_not_stored(depth: int) -> None:
    nested = b"[" * depth + b"1" + b"]" * depth
    content = b'{"request_id":"%b","status":"ERROR","payload":{"detail":%b}}' % (R.encode(), nested)
    callback = read_callback(content)
    if callback is not None:
        assert load(dump(callback)) == callback


@given(st.binary(max_size=200))
def test_callback_any_bytes_never_raise(content: bytes) -> None:
    read_callback(content)


@pytest.mark.parametrize(("status", "payload"), [(200, VIDEO), (422, POLICY), (499, {"detail": "gone"})])
def test_callback_outcome_equals_result_outcome(status: int, payload: Any) -> None:
    """Except the billed units, which only the headers of the result have."""
    result = result_outcome(HttpResponse(status, {"x-fal-billable-units": "108"}, payload))
    reported = callback_outcome(Callback(R, status, payload))
    assert isinstance(result, Succeeded | Failed | Canceled)
    assert reported is not None
    assert (type(reported), reported.billable_units, result.billable_units) == (type(result), None, Decimal(108))


def test_callback_url_has_generation_id_and_token() -> None:
    g = factories.generation(callback_token="hush")
    assert address("https://gateway.example.com", g) == f"https://gateway.example.com/callbacks/fal/{g.id}/hush"


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/callbacks/fal/gen_1/hush", "/callbacks/fal"),
        ("/callbacks/fal/gen_1/hush/more", "/callbacks/fal"),
        ("/behind/a/proxy/callbacks/fal/gen_1/hush", "/behind/a/proxy/callbacks/fal"),
        ("/callbacks/fal", "/callbacks/fal"),
        ("/v1/generations/gen_1", "/v1/generations/gen_1"),
    ],
)
def test_callback_path_is_logged_without_token(path: str, told: str) -> None:
    assert without_secret(path) == told
