"""``doctor --models``: the models of this release against the sandbox's published schemas, as they are and altered."""

import asyncio
import json
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from sandbox.endpoints import ENDPOINTS
from sandbox.routes.openapi import document as published_document
from service.cli import app
from service.config.settings import Settings
from service.domain.models.drift import differences
from service.domain.models.loader import packaged, with_file
from service.domain.models.model import Model
from service.domain.models.registry import build
from service.runtime import open_runtime
from service.upstream.answer_body import LARGEST_ANSWER
from service.upstream.http_result import HttpResponse
from service.upstream.schemas import FalSchemas, published_schema
from service.usecases.operations.doctor import CheckStatus, Finding
from service.usecases.operations.doctor.published import models
from tests.support import factories

I2V = "bytedance/seedance-2.0/image-to-video"
T25 = "bytedance/seedance-2.5/text-to-video"
R25 = "bytedance/seedance-2.5/reference-to-video"
US25 = "bytedance/seedance-2.5/us/text-to-video"
FLASH = "bytedance/seedance-2.5/flash/text-to-video"
USR25 = "bytedance/seedance-2.5/us/reference-to-video"
US20 = "bytedance/seedance-2.0/us/text-to-video"
LEGACY = "fal-ai/bytedance/seedance/v1.5/pro/text-to-video"
OK, WARN, FAIL = CheckStatus.OK, CheckStatus.WARN, CheckStatus.FAIL

Alter = Callable[[dict[str, Any], dict[str, Any]], Any]
"""Changes the properties of the input and the input itself."""


def document(endpoint: str) -> dict[str, Any]:
    return json.loads(json.dumps(published_document(endpoint, ENDPOINTS[endpoint])))  # type: ignore[no-any-return]


def altered(endpoint: str, alter: Alter) -> dict[str, Any]:
    body = document(endpoint)
    schema = body["components"]["schemas"]["Input"]
    alter(schema["properties"], schema)
    return body


def compared(model: Model, body: Any) -> dict[str, tuple[str, bool, tuple[str, ...]]]:
    published = published_schema(model.upstream, HttpResponse(200, {}, body))
    assert published is not None
    return {each.subject: (each.text, each.breaks, each.change) for each in differences(model, published)}


def changed(model: Model, lines: tuple[str, ...]) -> Model:
    """Return the model with the lines of a difference in the operator's file."""
    head = f'[models."{model.id}"]\nextends = "{model.id}"\n'
    return with_file(head + "\n".join(lines), "models.toml")[model.id]


def remove(name: str) -> Alter:
    def alter(fields: dict[str, Any], schema: dict[str, Any]) -> None:
        del fields[name]
        if name in schema["required"]:
            schema["required"].remove(name)

    return alter


def put(name: str, **changes: Any) -> Alter:
    """Return a change of a field; None removes the key."""

    def alter(fields: dict[str, Any], _schema: dict[str, Any]) -> None:
        merged = {**fields.get(name, {}), **changes}
        fields[name] = {key: value for key, value in merged.items() if value is not None}

    return alter


def require(name: str) -> Alter:
    return lambda _fields, schema: schema.setdefault("required", []).append(name)


def both(*alters: Alter) -> Alter:
    return lambda fields, schema: [alter(fields, schema) for alter in alters]


SECONDS_25 = [*map(str, range(4, 31))]

#: endpoint, change of the published schema, subject, part of the text, whether requests break, whether a file cures it
DRIFTS: list[tuple[str, Alter, str, str, bool, bool]] = [
    (T25, remove("codec"), "codec", "fal ignores it", True, True),
    (T25, remove("duration"), "duration", "fal ignores it", True, False),
    (FLASH, remove("prompt"), "prompt", "fal ignores it", True, True),
    (I2V, put("style", type="string"), "style", "only fal has this field", False, True),
    (I2V, put("style", type="string", enum=["a", "b"], default="b"), "style", "only fal has", False, True),
    (I2V, both(put("style", type="boolean"), require("style")), "style", "fal requires this field", True, True),
    (I2V, put("frames", type="integer", default=3), "frames", "only fal has", False, True),
    (I2V, put("camera_fixed", type="boolean", default=False), "camera_fixed", "only fal has", False, True),
    (I2V, put("draft", type="boolean", default=False), "draft", "only fal has", False, True),
    (I2V, put("video_urls", type="array", items={"type": "string"}), "video_urls", "only fal has", False, False),
    (I2V, put("points", type="array"), "points", "only fal has", False, False),
    (I2V, put("Odd-Name", type="string"), "Odd-Name", "only fal has", False, False),
    (US20, put("bitrate_mode", enum=["standard"]), "bitrate_mode", 'the model has "?"', False, True),
    (T25, put("resolution", enum=["480p", "720p"]), "resolutions that fal refuses", '["1080p"]', True, True),
    (T25, put("resolution", enum=["480p"], default="480p"), "resolutions that fal refuses", '"720p", "10', True, True),
    (
        T25,
        put("resolution", enum=["480p", "720p", "1080p", "4k"]),
        "resolutions that only fal has",
        '"4k"',
        False,
        True,
    ),
    (T25, put("duration", enum=["auto", *SECONDS_25, "31"]), "durations that only fal has", '["31"]', False, True),
    (T25, put("duration", enum=["auto", *SECONDS_25[:-1]]), "durations that fal refuses", '["30"]', True, True),
    (T25, put("duration", enum=SECONDS_25, default="5"), "durations that fal refuses", '["auto"]', True, True),
    (T25, put("duration", enum=SECONDS_25, default=None), "durations that fal refuses", '["auto"]', True, True),
    (T25, put("duration", enum=["auto", "5", "10"]), "durations that fal refuses", '"4", "6"', True, False),
    (T25, put("duration", enum=None, type="integer"), "duration type", "fal's type is integer", True, False),
    (US25, put("duration", enum=["auto", *SECONDS_25]), "durations that only fal has", '["auto"]', False, True),
    (T25, put("aspect_ratio", enum=["auto", "1:1"]), "aspect_ratio values that fal refuses", '"21:9"', True, True),
    (T25, put("codec", enum=["auto", "H264", "H265", "AV1"]), "codec values that only fal has", '["AV1"]', False, True),
    (T25, put("codec", enum=None), "codec values", "names no values", False, False),
    (T25, put("codec", default="H265"), "codec default", 'fal\'s is "H265"', False, True),
    (T25, put("codec", default=None), "codec default", "names none", False, True),
    (T25, put("duration", default="5"), "duration default", 'the gateway sends "auto"', False, True),
    (T25, put("generate_audio", default=False), "generate_audio default", "fal's is false", False, True),
    (T25, put("generate_audio", type="string"), "generate_audio type", "fal's type is string", True, True),
    (T25, require("codec"), "codec required", 'sends "auto"', False, True),
    (I2V, require("end_image_url"), "end_image_url required", "the model does not", True, True),
    (I2V, lambda _, schema: schema["required"].remove("prompt"), "prompt required", "fal does not", False, True),
    (US25, lambda _, schema: schema["required"].remove("duration"), "duration required", "fal does", False, False),
    (I2V, put("seed", minimum=1), "seed least", "fal's is 1, the model's is 0", True, True),
    (I2V, put("seed", maximum=2147483647), "seed most", "fal's is 2147483647", True, True),
    (I2V, put("seed", maximum=2**40), "seed most", "fal's is", False, True),
    (R25, put("image_urls", maxItems=20), "image_urls files.count", "fal's is 20, the model's is 30", True, True),
    (R25, put("image_urls", maxItems=40), "image_urls files.count", "fal's is 40", False, True),
    (LEGACY, put("camera_fixed", default=True), "camera_fixed default", "fal's is true", False, True),
]


@pytest.mark.parametrize("model_id", packaged())
def test_drift_of_unchanged_schema_is_what_is_unknown(model_id: str) -> None:
    model = packaged()[model_id]
    found = compared(model, document(model_id))
    if model_id == USR25:  # the sandbox offers more tasks there
        assert found.pop("task values that only fal has")[1] is False
    assert {name: change for name, (_, _, change) in found.items()} == {
        name: (f'fields.{name} = "-"',) for name in model.unknown
    }
    assert not any(breaks for _, breaks, _ in found.values())


@pytest.mark.parametrize(("endpoint", "alter", "subject", "text", "breaks", "cured"), DRIFTS)
def test_drift_of_altered_schema_is_one_line(
    endpoint: str,
    alter: Alter,
    subject: str,
    text: str,
    breaks: bool,
    cured: bool,
) -> None:
    body, model = altered(endpoint, alter), packaged()[endpoint]
    found = compared(model, body)
    assert text in found[subject][0]
    assert (found[subject][1], bool(found[subject][2])) == (breaks, cured)
    if cured:
        assert subject not in compared(changed(model, found[subject][2]), body)


def test_drift_of_unpriced_resolution_stays_until_rate_is_set() -> None:
    body = altered(T25, put("resolution", enum=["480p", "720p", "1080p", "4k"]))
    model = packaged()[T25]
    once = changed(model, compared(model, body)["resolutions that only fal has"][2])
    assert once.resolutions == model.resolutions, "a resolution without a rate is off"
    assert compared(once, body)["resolutions without a price"][0] == 'fal accepts ["4k"], and the model\'s rate is "?"'


def test_drift_of_outputs() -> None:
    body = document(T25)
    del body["components"]["schemas"]["Output"]["properties"]["draft_id"]
    body["components"]["schemas"]["Output"]["properties"]["timings"] = {"type": "object"}
    found = compared(packaged()[T25], body)
    assert found == {
        "output draft_id": ("fal's schema does not have this output", False, ('output = ["video", "seed"]',))
    }
    assert compared(changed(packaged()[T25], found["output draft_id"][2]), body) == {}
    del body["components"]["schemas"]["Output"]["properties"]["video"]
    assert compared(packaged()[T25], body)["output video"][1] is True


@pytest.mark.parametrize(
    "shape",
    [
        lambda field: {"anyOf": [field, {"type": "null"}]},
        lambda field: {"oneOf": [{"type": "null"}, field]},
        lambda field: {"allOf": [{"$ref": "#/components/schemas/Named"}], "default": field.get("default")},
        lambda field: {"$ref": "#/components/schemas/Named", "default": field.get("default")},
        lambda field: {**field, "type": [field["type"], "null"]},
        lambda field: {**{key: value for key, value in field.items() if key != "type"}},
    ],
)
def test_drift_understands_forms_of_schemas(shape: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    body = document(T25)
    fields = body["components"]["schemas"]["Input"]["properties"]
    body["components"]["schemas"]["Named"] = dict(fields["resolution"])
    fields["resolution"] = shape(fields["resolution"])
    assert compared(packaged()[T25], body) == {}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)
_KEYS = ["type", "enum", "default", "anyOf", "allOf", "$ref", "minimum", "maximum", "maxItems", "const"]


@hypothesis_settings(max_examples=60)
@given(st.data())
def test_drift_of_any_document_is_text(data: st.DataObject) -> None:
    body = document(T25)
    schema = body["components"]["schemas"]["Input"]
    name = data.draw(st.sampled_from([*schema["properties"], "new_field", 'odd "name"\n[x]']))
    strange = st.dictionaries(st.sampled_from(_KEYS), _JSON, max_size=4) | _JSON
    schema["properties"][name] = data.draw(strange)
    schema["required"] = data.draw(st.just(schema["required"]) | _JSON)
    for text, _, change in compared(packaged()[T25], body).values():
        assert text.isprintable()
        tomllib.loads("\n".join(change))


@hypothesis_settings(max_examples=30)
@given(_JSON)
def test_published_schema_of_other_json_is_none(body: Any) -> None:
    assert published_schema(T25, HttpResponse(200, {}, body)) is None
    references = {"components": {"schemas": {"a": {"$ref": "#/components/schemas/a"}}}}
    path = {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/a"}}}}}}
    assert published_schema(T25, HttpResponse(200, {}, {**references, "paths": {f"/{T25}": path}})) is None


# --- the doctor -------------------------------------------------------------------------------------------------------

Handler = Callable[[str], web.StreamResponse]


@asynccontextmanager
async def site(handler: Handler) -> AsyncIterator[str]:
    """Serve fal's site on this machine."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return handler(request.query["endpoint_id"])

    served = web.Application()
    served.router.add_get("/api/openapi/queue/openapi.json", answer)
    runner = web.AppRunner(served)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def checked(site_url: str, *names: str, **changes: Any) -> dict[str, Finding]:
    schemas = FalSchemas(site_url=site_url, **{"timeout": 60.0, **changes})
    found = await models(schemas, build(enabled=names))
    assert len({finding.check for finding in found}) == len(found)
    return {finding.check: finding for finding in found}


async def test_doctor_models_finds_drift_per_model() -> None:
    def handler(endpoint: str) -> web.StreamResponse:
        if endpoint == US25:
            return web.json_response({"detail": "Endpoint not found"}, status=404)
        if endpoint == LEGACY:
            return web.Response(status=503)
        drift = put("resolution", enum=["480p", "720p", "4k"])
        return web.json_response(altered(endpoint, drift) if endpoint == T25 else document(endpoint))

    async with site(handler) as url:
        found = await checked(url, T25, US25, LEGACY)
    assert {name: finding.status for name, finding in found.items()} == {
        f"model {I2V}": OK,
        f"model {T25}: resolutions that fal refuses": FAIL,
        f"model {T25}: resolutions that only fal has": WARN,
        f"model {US25}": FAIL,
        f"model {LEGACY}": WARN,
    }
    line = found[f"model {T25}: resolutions that fal refuses"]
    assert line.detail == 'fal does not accept ["1080p"]'
    assert line.remedy == (
        f'In GATEWAY_MODELS_FILE, [models."{T25}"] with extends = "{T25}": '
        'fields.resolution.values = ["480p", "720p", "4k"]'
    )
    assert "GATEWAY_MODELS" in found[f"model {US25}"].remedy
    assert found[f"model {LEGACY}"].detail == "fal answered 503: not compared"


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (lambda _: web.Response(body=b" " * (LARGEST_ANSWER + 1)), "(AnswerTooLarge)"),
        (lambda _: web.Response(text="<html>"), "no schema of the input"),
        (lambda _: web.json_response([]), "no schema of the input"),
        (lambda _: web.Response(status=308, headers={"location": "http://127.0.0.1:9/"}), "fal answered 308"),
    ],
)
async def test_doctor_models_bad_answer_is_a_warning(answer: Handler, detail: str) -> None:
    async with site(answer) as url:
        found = await checked(url)
    assert [finding.status for finding in found.values()] == [WARN]
    assert detail in next(iter(found.values())).detail


async def test_doctor_models_silent_site_ends_in_time() -> None:
    never = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await never.wait()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = await asyncio.wait_for(checked(f"http://127.0.0.1:{port}", "*", patience=0.2), 120)
        never.set()
    assert [(name, finding.status) for name, finding in found.items()] == [("models", WARN)]


async def test_doctor_models_lines_of_one_model_are_bounded() -> None:
    many = both(*(put("a" + chr(97 + n // 26) + chr(97 + n % 26), type="string") for n in range(200)))
    async with site(lambda endpoint: web.json_response(altered(endpoint, both(many, remove("seed"))))) as url:
        found = await checked(url)
    assert len(found) == 51
    assert next(iter(found)) == f"model {I2V}: seed", "what breaks requests is first"
    assert found[f"model {I2V}: others"].detail == "151 more differences"


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url)


async def test_doctor_compares_models_only_if_asked(settings: Settings) -> None:
    async with open_runtime(settings.model_copy(update={"models": ("*",)})) as runtime:
        without = [finding for finding in await runtime.operations.doctor.run() if finding.check.startswith("model")]
        found = [each for each in await runtime.operations.doctor.run(models=True) if each.check.startswith("model")]
        enabled = runtime.generations.models.enabled
    assert without == []
    assert {finding.check.removeprefix("model ").split(":")[0] for finding in found} == set(enabled)
    assert {finding.status for finding in found} == {OK, WARN}, "the sandbox's schemas break nothing"


@pytest.fixture
def command(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, dict[str, Any]]]:
    def run(**changes: Any) -> tuple[int, dict[str, Any]]:
        for name, value in settings.model_copy(update=changes).environment().items():
            monkeypatch.setenv(name, value)
        result = CliRunner().invoke(app, ["doctor", "--models", "--json"])
        report = json.loads(result.stdout)
        assert result.exit_code == (0 if report["healthy"] else 1)
        return result.exit_code, {finding["check"]: finding["status"] for finding in report["findings"]}

    return run


def test_doctor_command_unreachable_schemas_fail_nothing(command: Callable[..., Any]) -> None:
    _, reached = command()
    _, away = command(fal_site_url="http://127.0.0.1:9")
    assert reached.pop(f"model {I2V}") == "ok"
    assert away.pop("models") == "warn"
    assert {name for name, status in away.items() if status == "fail"} == {
        name for name, status in reached.items() if status == "fail"
    }
