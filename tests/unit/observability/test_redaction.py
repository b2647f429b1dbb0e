"""Log lines contain no secret, whichever code writes them, and stay one line of valid JSON."""

import io
import json
import logging
import string
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.domain import callback
from service.domain.signing import new_secret
from service.domain.tenant import new_key_text
from service.observability import log
from service.observability.redaction import REDACTED, Redactor
from tests.support import factories

HUSH = "Hush7hush-hush_h0sh"
REDIS_URL = f"rediss://worker:{HUSH}@redis.internal:6380/2"
BROKER_URL = "amqp://gateway:p%40ss-broker-word@rabbit.internal:5672/jobs"


@pytest.fixture
def written() -> Iterator[io.BytesIO]:
    """The log of a process with the settings of the tests."""
    sink = io.BytesIO()
    settings = factories.settings(REDIS_URL, broker_url=BROKER_URL, fal_admin_key="an-admin-key-id:an-admin-key-secret")
    log.configure("DEBUG", secrets=settings.secrets(), stream=sink)
    yield sink
    log.configure("INFO")


def lines(sink: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in sink.getvalue().splitlines()]


SIGNED = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={HUSH}%2F20260131&X-Amz-Signature={HUSH}"

#: Texts with a secret, and the same texts after redaction.
TEXTS = {
    "API key": (f"refused sgk_abc123_{HUSH} twice", "refused sgk_abc123_[redacted] twice"),
    "API key in a header": (
        f"{{'authorization': 'Bearer sgk_a_{HUSH}'}}",
        "{'authorization': 'Bearer sgk_a_[redacted]'}",
    ),
    "truncated API key": (f"refused sgk_{HUSH}", "refused sgk_[redacted]"),
    "webhook secret": (f"signed by whsec_{HUSH}==", "signed by whsec_[redacted]"),
    "Ed25519 seed": (f"signed by whsk_{HUSH}", "signed by whsk_[redacted]"),
    "callback path": (f"POST /callbacks/fal/gen_1/{HUSH} 401", "POST /callbacks/fal/gen_1/[redacted] 401"),
    "callback URL in a query": (
        f"POST https://queue.fal.run/m?fal_webhook=https%3A%2F%2Fgw%2Fcallbacks%2Ffal%2Fgen_1%2F{HUSH}",
        "POST https://queue.fal.run/m?fal_webhook=[redacted]",
    ),
    "quoted callback URL": (
        f"https%3A%2F%2Fgw%2Fcallbacks%2Ffal%2Fgen_1%2F{HUSH}",
        "https%3A%2F%2Fgw%2Fcallbacks%2Ffal%2Fgen_1%2F[redacted]",
    ),
    "signed URL": (
        f"GET https://cdn.example/a.png?{SIGNED} 403",
        "GET https://cdn.example/a.png?X-Amz-Algorithm=[redacted] 403",
    ),
    "login of Redis": (
        f"connecting to redis://:{HUSH}@10.0.0.1:6379/0",
        "connecting to redis://[redacted]@10.0.0.1:6379/0",
    ),
    "logins of sentinels": (f"sentinel://u:{HUSH}@a:1,u:{HUSH}@b:2/main", "sentinel://[redacted]@b:2/main"),
    "password with an @": (f"redis://u:x@{HUSH}@host", "redis://[redacted]@host"),
    "login of a receiver": (f"POST https://shop:{HUSH}@shop.example/hook", "POST https://[redacted]@shop.example/hook"),
}
HARMLESS = (
    "generation_transition",
    "GET https://queue.fal.run/bytedance/seedance-2.0/requests/0190-ab/status",
    "fal's keys could not be fetched",
    "dispatch_gate_closed: User is locked. Reason: Exhausted balance.",
    "redis://10.0.0.1:6379/0 is unavailable",
    "/callbacks/fal/{generation_id}/{token}",
    "more than 3 tokens a second? perhaps",
)


@pytest.mark.parametrize(("text", "left"), TEXTS.values(), ids=TEXTS)
def test_redaction_keeps_the_rest_of_a_text(text: str, left: str) -> None:
    assert Redactor().text(text) == left


@pytest.mark.parametrize("text", HARMLESS)
def test_redaction_harmless_text_is_unchanged(text: str) -> None:
    assert Redactor().text(text) == text


def fail(text: str) -> None:
    """Raise an exception with the secret in its text and in its cause."""
    try:
        int(text)
    except ValueError as error:
        raise RuntimeError(f"while {text}") from error


OWN, FOREIGN = log.get("test"), logging.getLogger("another.library")
WAYS: dict[str, Callable[[str], None]] = {
    "event": lambda text: OWN.info(text, n=1),
    "field": lambda text: OWN.info("record_logged", detail={"deep": [text, {text: 1}]}),
    "exception": lambda _: OWN.exception("work_failed"),
    "foreign exception": FOREIGN.exception,
    "foreign arguments": lambda text: FOREIGN.warning("%r and %s", text, (text,)),
    "extra": lambda text: FOREIGN.warning("extra", extra={"said": text, "data": {"args": [text]}}),
    "object": lambda text: OWN.info("record_logged", error=ValueError(text), raw=text.encode(), odd={1: {text}}),
}


@pytest.mark.parametrize("text", [text for text, _ in TEXTS.values()], ids=TEXTS)
@pytest.mark.parametrize("way", WAYS)
def test_redaction_covers_every_part_of_a_line(written: io.BytesIO, text: str, way: str) -> None:
    try:
        fail(text)
    except RuntimeError:
        WAYS[way](text)

    assert HUSH.encode() not in written.getvalue()
    assert len(lines(written)) == 1, "one line, and JSON"


@pytest.mark.parametrize("name", ["callback_token", "webhook_secret", "pseudonym_key"])
def test_redaction_record_field_by_name(written: io.BytesIO, name: str) -> None:
    log.get("test").info("record_logged", **{name: HUSH}, deep=[{name: [HUSH]}], keys=3)

    (line,) = lines(written)
    assert HUSH.encode() not in written.getvalue()
    assert (line[name], line["deep"], line["keys"]) == (REDACTED, [{name: REDACTED}], 3)


def test_redaction_covers_secrets_of_the_settings(written: io.BytesIO) -> None:
    """These secrets have no shape."""
    secrets = (
        *(factories.FAL_KEY, factories.FAL_KEY.split(":")[1], factories.SECRET_KEY, factories.ADMIN_TOKEN, HUSH),
        *("an-admin-key-id:an-admin-key-secret", "an-admin-key-secret", "p%40ss-broker-word", "p@ss-broker-word"),
    )
    for secret in secrets:
        log.get("test").info(f"value {secret}", also=[secret], quoted=quote(secret, safe=""))
        logging.getLogger("another.library").error("value %r", secret)

    assert len(lines(written)) == 2 * len(secrets)
    for secret in secrets:
        for form in (secret, quote(secret, safe="")):
            assert form.encode() not in written.getvalue(), secret


def test_redaction_covers_issued_secrets_and_records(written: io.BytesIO) -> None:
    _, key = new_key_text()
    g, secret = factories.generation(), new_secret()
    for made in (key, secret, callback.address("https://gateway.example", g), repr(g), {"g": g}):
        log.get("test").warning("refused", what=made)

    for piece in (key.split("_")[2], secret.removeprefix("whsec_"), g.callback_token):
        assert piece.encode() not in written.getvalue()
    assert g.id.encode() in written.getvalue(), "ids are not secret"


WRAPPINGS = st.sampled_from(
    (
        "GET /callbacks/fal/gen_1/{}",
        "redis://default:{}@host:6379/0",
        "https://cdn.example/v.mp4?X-Amz-Signature={}",
        "whsec_{}",
        "sgk_abc_{}",
    )
)
SECRETS = st.text(string.ascii_letters + string.digits, min_size=16, max_size=60)
NOISE = st.text(st.characters(exclude_categories=()), max_size=60)


@given(WRAPPINGS, SECRETS, NOISE, NOISE, st.booleans())
def test_redaction_in_any_surroundings(wrapping: str, secret: str, before: str, after: str, twice: bool) -> None:
    assume(secret not in before + after)
    text = f"{before} {wrapping.format(secret)} {after}"
    line = log._Serializer(Redactor())({"event": repr(text) if twice else text, "list": [{"text": text}]})

    assert secret.encode() not in line
    json.loads(line)
    assert line.isascii()


@given(
    st.dictionaries(
        NOISE,
        st.recursive(NOISE | st.integers() | st.none() | st.floats() | st.binary(), st.lists, max_leaves=5),
        max_size=5,
    )
)
def test_serializer_writes_one_line_of_ascii_json(event: dict[str, Any]) -> None:
    """Newlines, control characters and lone surrogates neither start a line nor move a cursor."""
    line = log._Serializer(Redactor(["a-secret-of-enough-length"]))(event)

    json.loads(line)
    assert line.isascii()
    assert not any(byte < 0x20 for byte in line)


def test_log_injection_is_escaped(written: io.BytesIO) -> None:
    forged = 'x\n{"level":"info","event":"paid"}\r\x1b[2J\x9b31m\u2028\x00'
    log.get("test").info(forged, detail=forged)
    logging.getLogger("another.library").warning("%s", forged)

    assert [line["event"] for line in lines(written)] == [forged, forged]
    assert written.getvalue().count(b"\n") == 2


def test_unserializable_values_are_logged_as_text(written: io.BytesIO) -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError(HUSH)

        __str__ = __repr__

    circle: list[Any] = []
    circle.append(circle)
    deep: Any = "x"
    for _ in range(5_000):
        deep = [deep]
    for value in (Odd(), circle, deep, "\ud800", b"\xff"):
        log.get("test").info("odd", value=value)
    (handler,) = (each for each in logging.getLogger().handlers if isinstance(each, log._BytesHandler))
    handler.handle(logging.makeLogRecord({"msg": "%d", "args": (Odd(),)}))

    assert [line["event"] for line in lines(written)][-1] == "log_line_not_formattable"
    assert HUSH.encode() not in written.getvalue()


@pytest.mark.parametrize(
    "piece",
    ["://", "?a", "sgk_", "whsec_", "callbacks/fal/a/", "callbacks%2Ffal%2F", "\\"],
)
def test_redaction_time_is_linear(piece: str) -> None:
    """Fifty thousand characters, each of which may begin a match."""
    text = piece * (50_000 // len(piece))
    begun = time.process_time()

    Redactor([HUSH]).text(text)

    assert time.process_time() - begun < 5, "quadratic time would be minutes"


def test_redaction_ordinary_line_is_not_parsed() -> None:
    """The cost of a log line depends on it: some microseconds instead of tens."""
    line = b'{"event":"request","route":"/v1/generations","tenant":"ten_01kg93f9y0v9n1q2r3s4t5u6v7","level":"info"}'

    assert Redactor(factories.settings(REDIS_URL).secrets())(line) is line


@pytest.mark.parametrize("secret", ["nabcdefgh", "12345678", 'with "quotes"', "back\\slash", "pass wörd"])
def test_redaction_line_stays_valid_json(secret: str) -> None:
    """Neither an escape before the secret nor a number that contains its digits breaks the line."""
    text = f"\\{secret} \n{secret}"
    line = log._Serializer(Redactor([secret]))({"event": text, "number": 12345678, secret: {secret: [secret]}})

    shown = json.loads(line)
    assert shown["event"] == "\\[redacted] \n[redacted]"
    assert shown[REDACTED] == {REDACTED: [REDACTED]}
