"""What must not be in a line is in none, whoever wrote it and whatever it was wrapped in; what may be, is."""

import base64
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
    """What a process with the tests' settings writes."""
    sink = io.BytesIO()
    settings = factories.settings(REDIS_URL, broker_url=BROKER_URL, fal_admin_key="an-admin-key-id:an-admin-key-secret")
    log.configure("DEBUG", secrets=settings.secrets(), stream=sink)
    yield sink
    log.configure("INFO")


def said(sink: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in sink.getvalue().splitlines()]


BASIC = base64.b64encode(f"id:{HUSH}".encode()).decode()
JWT = f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{HUSH}"
SIGNED = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={HUSH}%2F20260131&X-Amz-Signature={HUSH}"

#: What somebody may have put into a message, with the secret in it each time, and what is left of it.
TEXTS = {
    "a bearer": (f"Authorization: Bearer {HUSH}", "Authorization: [redacted]"),
    "a bearer alone": (f"sent Bearer {HUSH} to it", "sent Bearer [redacted] to it"),
    "basic": (f"auth was Basic {BASIC}", "auth was Basic [redacted]"),
    "fal's scheme": (f"with Key {HUSH}:{HUSH}", "with Key [redacted]"),
    "an unknown scheme": (f"authorization: Digest username={HUSH}", "authorization: [redacted]"),
    "headers, as a dict": (f"{{'authorization': 'Key a:{HUSH}', 'n': 1}}", "{'authorization': '[redacted]', 'n': 1}"),
    "headers, as pairs": (f"[(b'authorization', b'{HUSH}')]", "[(b'authorization', b'[redacted]')]"),
    "a proxy's": (f"Proxy-Authorization: Basic {BASIC}", "Proxy-Authorization: [redacted]"),
    "a cookie": (f"Set-Cookie: sid={HUSH}", "Set-Cookie: [redacted]"),
    "a key of ours": (f"refused sgk_abc123_{HUSH} twice", "refused sgk_abc123_[redacted] twice"),
    "a key cut short": (f"refused sgk_{HUSH}", "refused sgk_Hush7hush-hush_[redacted]"[:12] + "[redacted]"),
    "a webhook's secret": (f"signed by whsec_{HUSH}==", "signed by whsec_[redacted]"),
    "an Ed25519 seed": (f"signed by whsk_{HUSH}", "signed by whsk_[redacted]"),
    "a callback": (f"POST /callbacks/fal/gen_1/{HUSH} 401", "POST /callbacks/fal/gen_1/[redacted] 401"),
    "a callback's URL in a URL": (
        f"POST https://queue.fal.run/m?fal_webhook=https%3A%2F%2Fgw%2Fcallbacks%2Ffal%2Fgen_1%2F{HUSH}",
        "POST https://queue.fal.run/m?fal_webhook=[redacted]",
    ),
    "the same without its query": (
        f"https%3A%2F%2Fgw%2Fcallbacks%2Ffal%2Fgen_1%2F{HUSH}",
        "https%3A%2F%2Fgw%2Fcallbacks%2Ffal%2Fgen_1%2F[redacted]",
    ),
    "a signed URL": (
        f"GET https://cdn.example/a.png?{SIGNED} 403",
        "GET https://cdn.example/a.png?X-Amz-Algorithm=[redacted] 403",
    ),
    "a signature alone": (f"X-Amz-Signature={HUSH}", "X-Amz-Signature=[redacted]"),
    "Redis": (f"connecting to redis://:{HUSH}@10.0.0.1:6379/0", "connecting to redis://[redacted]@10.0.0.1:6379/0"),
    "sentinels": (f"sentinel://u:{HUSH}@a:1,u:{HUSH}@b:2/main", "sentinel://[redacted]@b:2/main"),
    "a password with an @": (f"redis://u:x@{HUSH}@host", "redis://[redacted]@host"),
    "a broker in a URL": (f"amqp%3A%2F%2Fu%3A{HUSH}%40host", "amqp%3A%2F%2F[redacted]%40host"),
    "a field": (f"password={HUSH}, user=me", "password=[redacted], user=me"),
    "a repr": (f"Generation(callback_token='{HUSH}', id='g')", "Generation(callback_token='[redacted]', id='g')"),
    "JSON": (f'{{"api_key": "{HUSH}", "n": 1}}', '{"api_key": "[redacted]", "n": 1}'),
    "JSON in JSON": (f'{{\\"client_secret\\": \\"{HUSH}\\"}}', '{\\"client_secret\\": \\"[redacted]\\"}'),
    "a header of others": (f"x-api-key: {HUSH}", "x-api-key: [redacted]"),
    "a setting": (f"GATEWAY_SECRET_KEY={HUSH}", "GATEWAY_SECRET_KEY=[redacted]"),
    "a JSON Web Token": (f"got {JWT}.", "got [redacted]."),
    "a private key": (
        f"-----BEGIN EC PRIVATE KEY-----\n{HUSH.replace('-', '+')}\n-----END EC PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----[redacted]-----END EC PRIVATE KEY-----",
    ),
}
HARMLESS = (
    "generation_transition",
    "GET https://queue.fal.run/bytedance/seedance-2.0/requests/0190-ab/status",
    "fal's keys could not be fetched",
    "dispatch_gate_closed: User is locked. Reason: Exhausted balance.",
    "redis://10.0.0.1:6379/0 is away",
    "/callbacks/fal/{generation_id}/{token}",
    "more than 3 tokens a second? perhaps",
)


@pytest.mark.parametrize(("text", "left"), TEXTS.values(), ids=TEXTS)
def test_what_is_left_of_a_text(text: str, left: str) -> None:
    assert Redactor().text(text) == left


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_harmless_stays(text: str) -> None:
    assert Redactor().text(text) == text


def fail(text: str) -> None:
    """With what is secret in both, the exception and its cause."""
    try:
        int(text)
    except ValueError as error:
        raise RuntimeError(f"while {text}") from error


OURS, FOREIGN = log.get("test"), logging.getLogger("somebody.else")
WAYS: dict[str, Callable[[str], None]] = {
    "event": lambda text: OURS.info(text, n=1),
    "field": lambda text: OURS.info("it was so", detail={"deep": [text, {text: 1}]}),
    "exception": lambda _: OURS.exception("it failed"),
    "foreign exception": FOREIGN.exception,
    "foreign arguments": lambda text: FOREIGN.warning("it said %r to %s", text, (text,)),
    "extra": lambda text: FOREIGN.warning("it said", extra={"said": text, "data": {"args": [text]}}),
    "object": lambda text: OURS.info("it was so", error=ValueError(text), raw=text.encode(), odd={1: {text}}),
}


@pytest.mark.parametrize("text", [text for text, _ in TEXTS.values()], ids=TEXTS)
@pytest.mark.parametrize("way", WAYS)
def test_no_way_into_a_line_leads_around_it(written: io.BytesIO, text: str, way: str) -> None:
    try:
        fail(text)
    except RuntimeError:
        WAYS[way](text)

    for piece in (HUSH, HUSH.replace("-", "+"), BASIC):
        assert piece.encode() not in written.getvalue()
    assert len(said(written)) == 1, "one line, and JSON"


@pytest.mark.parametrize(
    "name", ["authorization", "X-Api-Key", "password", "callback_token", "webhook_secret", "cookie", "key"]
)
def test_a_field_is_known_by_its_name(written: io.BytesIO, name: str) -> None:
    log.get("test").info("it was so", **{name: HUSH}, deep=[{name: [HUSH]}], keys=3)

    (line,) = said(written)
    assert HUSH.encode() not in written.getvalue()
    assert (line[name], line["deep"], line["keys"]) == (REDACTED, [{name: REDACTED}], 3)


def test_a_process_never_writes_what_it_was_given(written: io.BytesIO) -> None:
    """In whatever words: these have no form that could be known."""
    secrets = (
        *(factories.FAL_KEY, factories.FAL_KEY.split(":")[1], factories.SECRET_KEY, factories.ADMIN_TOKEN, HUSH),
        *("an-admin-key-id:an-admin-key-secret", "an-admin-key-secret", "p%40ss-broker-word", "p@ss-broker-word"),
    )
    for secret in secrets:
        log.get("test").info(f"so it was {secret}", also=[secret], quoted=quote(secret, safe=""))
        logging.getLogger("somebody.else").error("and %r", secret)

    assert len(said(written)) == 2 * len(secrets)
    for secret in secrets:
        for form in (secret, quote(secret, safe="")):
            assert form.encode() not in written.getvalue(), secret


def test_what_we_hand_out_is_known_by_its_form(written: io.BytesIO) -> None:
    _, key = new_key_text()
    g, secret = factories.generation(), new_secret()
    for made in (key, secret, callback.address("https://gateway.example", g), repr(g), {"g": g}):
        log.get("test").warning("refused", what=made)

    for piece in (key.split("_")[2], secret.removeprefix("whsec_"), g.callback_token):
        assert piece.encode() not in written.getvalue()
    assert g.id.encode() in written.getvalue(), "whose it was may be told"


WRAPPINGS = st.sampled_from(
    (
        "Authorization: Bearer {}",
        "'authorization': 'Key {}'",
        "GET /callbacks/fal/gen_1/{}",
        "redis://default:{}@host:6379/0",
        "https://cdn.example/v.mp4?X-Amz-Signature={}",
        '{{"token": "{}"}}',
        "callback_token='{}'",
        "whsec_{}",
        "sgk_abc_{}",
        "password={}",
    )
)
SECRETS = st.text(string.ascii_letters + string.digits, min_size=16, max_size=60)
NOISE = st.text(st.characters(exclude_categories=()), max_size=60)


@given(WRAPPINGS, SECRETS, NOISE, NOISE, st.booleans())
def test_whatever_stands_around_it(wrapping: str, secret: str, before: str, after: str, twice: bool) -> None:
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
def test_every_event_is_one_line_of_json_in_ascii(event: dict[str, Any]) -> None:
    """Newlines, control characters, halves of surrogates: nothing of it starts a line or moves a cursor."""
    line = log._Serializer(Redactor(["a-secret-of-enough-length"]))(event)

    json.loads(line)
    assert line.isascii()
    assert not any(byte < 0x20 for byte in line)


def test_a_forged_line_is_none(written: io.BytesIO) -> None:
    forged = 'x\n{"level":"info","event":"paid"}\r\x1b[2J\x9b31m\u2028\x00'
    log.get("test").info(forged, detail=forged)
    logging.getLogger("somebody.else").warning("%s", forged)

    lines = said(written)
    assert [line["event"] for line in lines] == [forged, forged]
    assert written.getvalue().count(b"\n") == 2


def test_a_line_that_cannot_be_written_harms_nobody(written: io.BytesIO) -> None:
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
    (ours,) = (each for each in logging.getLogger().handlers if isinstance(each, log._BytesHandler))
    ours.handle(logging.makeLogRecord({"msg": "%d", "args": (Odd(),)}))

    assert [line["event"] for line in said(written)][-1] == "a line could not be formatted"
    assert HUSH.encode() not in written.getvalue()


@pytest.mark.parametrize(
    "piece",
    ["://", "%3a%2f%2f", "token", "token-", 'token"', "authorization ", "?a", "basic ", "sgk_", "\\", "token=\\"],
)
def test_no_text_takes_long(piece: str) -> None:
    """Fifty thousand characters, of which every one may begin something."""
    text = piece * (50_000 // len(piece))
    begun = time.process_time()

    Redactor([HUSH]).text(text)

    assert time.process_time() - begun < 5, "quadratic would be minutes"


def test_an_ordinary_line_is_only_searched() -> None:
    """The measured cost of a line depends on it: some microseconds instead of hundreds."""
    log_line = b'{"event":"request","route":"/v1/generations","tenant":"ten_01kg93f9y0v9n1q2r3s4t5u6v7","level":"info"}'
    redactor = Redactor(factories.settings(REDIS_URL).secrets())

    assert redactor(log_line) is log_line
    assert redactor.is_harmless({**json.loads(log_line), "status": 202, "code": None})


@pytest.mark.parametrize("event", [{"a": f"so {HUSH} it was"}, {HUSH: 1}, {"token": "x"}, {"a": ["x"]}, {"a": b"x"}])
def test_an_event_is_not_called_harmless(event: dict[str, Any]) -> None:
    redactor = Redactor([HUSH])

    assert not redactor.is_harmless(event)
    assert not redactor.is_harmless(event), "nor the second time"


def test_what_is_remembered_is_bounded() -> None:
    redactor = Redactor()
    for number in range(10_000):
        assert redactor.is_harmless({"event": f"number {number}"})

    assert len(redactor._harmless) <= 4096
