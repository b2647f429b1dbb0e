"""Every endpoint of the Seedance family: schema, rules, bill, and the gateway's own data of the same model."""

import asyncio
import io
import itertools
from decimal import Decimal
from typing import Any, Literal, get_args, get_origin

import av
import httpx
import pytest

from sandbox.dimensions import SIZES, dimensions
from sandbox.drafts import Drafts
from sandbox.endpoints import ENDPOINTS
from sandbox.outcome import Outcome
from sandbox.schema import Request
from sandbox.settings import Settings
from service.domain.models.loader import packaged
from service.domain.models.model import InputField, Model
from service.domain.pricing import Rates
from tests.integration.sandbox.conftest import NO_TLS
from tests.integration.sandbox.driver import IMAGE, QUICK, Fal
from tests.support.waiting import Patience

VIDEO = "https://v3b.fal.media/files/b/0a8eba37/clip.mp4"
SOUND = "https://v3b.fal.media/files/b/0a8eba37/song.mp3"
S20, S25, V1 = "bytedance/seedance-2.0", "bytedance/seedance-2.5", "fal-ai/bytedance/seedance"
COMPLETE = f"{S25}/draft/complete"
LEGACY_IMAGE = [f"{V1}/v1.5/pro/image-to-video", f"{V1}/v1/pro/image-to-video", f"{V1}/v1/pro/fast/image-to-video"]

#: US dollars of 5 seconds in 16:9 at the default resolution.
COSTS = {
    **{f"{S20}/{kind}-to-video": "1.5246" for kind in ("text", "image", "reference")},
    **{f"{S20}/fast/{kind}-to-video": "1.21968" for kind in ("text", "image", "reference")},
    **{f"{S20}/mini/{kind}-to-video": "0.7623" for kind in ("text", "image", "reference")},
    **{f"{S20}/us/{kind}-to-video": "1.82952" for kind in ("text", "image", "reference")},
    **{f"{S25}/{kind}-to-video": "2.33046" for kind in ("text", "image", "reference")},
    **{f"{S25}/us/{kind}-to-video": "2.796552" for kind in ("text", "image", "reference")},
    f"{S25}/flash/text-to-video": "1.5246",
    **{f"{V1}/v1.5/pro/{kind}-to-video": "0.26136" for kind in ("text", "image")},
    **{f"{V1}/v1/pro/{kind}-to-video": "0.6125625" for kind in ("text", "image")},
    **{f"{V1}/v1/pro/fast/{kind}-to-video": "0.245025" for kind in ("text", "image")},
}


def minimum(endpoint: str, **fields: Any) -> dict[str, Any]:
    """Return the smallest valid input of 5 seconds."""
    image = {"image_url": IMAGE} if endpoint.endswith("image-to-video") else {}
    return {"prompt": QUICK, "duration": "5", **image, **fields}


def refused(endpoint: str, given: Any) -> list[tuple[str, str]]:
    """Return location and type of each error of an input."""
    outcome = ENDPOINTS[endpoint].check(given)
    assert isinstance(outcome, Outcome), outcome
    assert outcome.code == 422
    return [(".".join(map(str, entry["loc"][1:])), entry["type"]) for entry in outcome.body["detail"]]


def accepted(endpoint: str, given: Any) -> Request:
    request = ENDPOINTS[endpoint].check(given)
    assert isinstance(request, Request), request
    return request


async def finished(http: httpx.AsyncClient, endpoint: str, body: dict[str, Any]) -> httpx.Response:
    submitted = (await http.post(f"/queue/{endpoint}", json=body)).raise_for_status().json()
    urls = [submitted["status_url"], submitted["response_url"]]
    head = "/".join(endpoint.split("/")[:2])
    assert all(f"/queue/{head}/requests/" in url for url in urls)  # no status URL has the variant
    patience = Patience()
    async with asyncio.timeout(60), httpx.AsyncClient(headers=http.headers, verify=NO_TLS) as client:
        while (await client.get(urls[0])).json()["status"] != "COMPLETED":
            await patience.pause()
        return await client.get(urls[1])


async def bill(http: httpx.AsyncClient, answer: httpx.Response) -> dict[str, Any]:
    query = {"request_id": answer.headers["x-fal-request-id"]}
    (event,) = (await http.get("/api/v1/models/billing-events", params=query)).json()["billing_events"]
    found: dict[str, Any] = event
    return found


# --- bills ------------------------------------------------------------------------------------------------------------


def test_every_endpoint_has_an_expected_cost() -> None:
    assert {*COSTS, COMPLETE} == set(ENDPOINTS)


@pytest.mark.parametrize("endpoint", COSTS)
async def test_minimum_input_succeeds_and_is_billed(fal: Fal, endpoint: str) -> None:
    answer = await finished(fal.http, endpoint, minimum(endpoint))
    assert (answer.status_code, set(answer.json())) == (200, {"video", "seed"})
    event = await bill(fal.http, answer)
    assert (event["endpoint_id"], event["cost_total"]) == (endpoint, pytest.approx(float(COSTS[endpoint])))
    (price,) = (await fal.http.get("/api/v1/models/pricing", params={"endpoint_id": endpoint})).json()["prices"]
    assert event["unit_price"] == price["unit_price"]
    assert event["cost_total"] == pytest.approx(float(answer.headers["x-fal-billable-units"]) * price["unit_price"])


@pytest.mark.parametrize(
    ("endpoint", "fields", "units", "price"),
    [
        (f"{S20}/text-to-video", {"resolution": "4k"}, "980.1", "0.008"),
        (f"{S25}/text-to-video", {"resolution": "1080p"}, "245.025", "0.0234"),
        (f"{S25}/text-to-video", {"generate_audio": False}, "108.9", "0.0214"),
        (f"{V1}/v1.5/pro/text-to-video", {"generate_audio": False}, "0.1089", "1.2"),
        (f"{V1}/v1/pro/text-to-video", {"generate_audio": False}, "0.245025", "2.5"),
        (f"{S20}/reference-to-video", {"image_urls": [IMAGE], "audio_urls": [SOUND]}, "108.9", "0.014"),
        (f"{S20}/reference-to-video", {"video_urls": [VIDEO]}, "173.7", "0.0084"),  # 5 + 3 seconds
        (f"{S25}/reference-to-video", {"video_urls": [VIDEO] * 2}, "238.5", "0.01284"),
        (f"{S25}/reference-to-video", {"video_urls": [f"{VIDEO}?sandbox-seconds=7.5"]}, "270.9", "0.01284"),
        (f"{S25}/reference-to-video", {"video_urls": [VIDEO, f"{VIDEO}?x=1&sandbox-seconds=2"]}, "216.9", "0.01284"),
    ],
)
async def test_bill_follows_resolution_audio_and_videos(
    fal: Fal, endpoint: str, fields: dict[str, Any], units: str, price: str
) -> None:
    answer = await finished(fal.http, endpoint, minimum(endpoint, **fields))
    assert answer.headers["x-fal-billable-units"] == units
    assert (await bill(fal.http, answer))["unit_price"] == float(price)


async def test_own_file_as_input_is_billed_with_its_seconds(fal: Fal) -> None:
    endpoint = f"{S20}/reference-to-video"
    url = (await finished(fal.http, endpoint, minimum(endpoint))).json()["video"]["url"]
    with av.open(io.BytesIO((await fal.http.get(url)).content)) as container:
        seconds = container.streams.video[0].frames / 24
    answer = await finished(fal.http, endpoint, minimum(endpoint, video_urls=[url]))
    units = 1280 * 720 * ((5 + seconds) * 24 + 1) / 1024 / 1000
    assert float(answer.headers["x-fal-billable-units"]) == pytest.approx(units)
    assert seconds not in (0, 3)


@pytest.mark.parametrize(
    ("endpoint", "most"), [(f"{S20}/fast/reference-to-video", 15), (f"{S25}/reference-to-video", 30.2)]
)
async def test_input_videos_beyond_the_limit_are_refused(fal: Fal, endpoint: str, most: float) -> None:
    for seconds, status in ((most, 200), (most + 0.1, 422)):
        body = minimum(endpoint, video_urls=[f"{VIDEO}?sandbox-seconds={seconds:.1f}"])
        answer = await finished(fal.http, endpoint, body)
        assert answer.status_code == status, seconds
    (entry,) = answer.json()["detail"]
    assert (entry["loc"], entry["type"]) == (["body", "video_urls"], "video_duration_too_long")


async def test_text_to_video_is_rendered_in_its_ratio(fal: Fal) -> None:
    body = {"prompt": "a rocket lifts off", "duration": "4", "resolution": "480p", "aspect_ratio": "9:16"}
    answer = await finished(fal.http, f"{S25}/text-to-video", body)
    with av.open(io.BytesIO((await fal.http.get(answer.json()["video"]["url"])).content)) as container:
        picture = container.streams.video[0]
        assert (picture.codec_context.width, picture.codec_context.height, picture.frames) == (496, 864, 96)
    assert answer.headers["x-fal-billable-units"] == "40.5945"


# --- schemas ----------------------------------------------------------------------------------------------------------

ANY = [endpoint for endpoint in ENDPOINTS if endpoint != COMPLETE]
WITHOUT_AUTO = [e for e in ANY if e.startswith((f"{S25}/us", f"{S25}/flash", V1))]


@pytest.mark.parametrize("endpoint", ANY)
def test_each_limit_one_beyond_is_refused(endpoint: str) -> None:
    numbers = [int(value) for value in choices(endpoint, "duration") if value != "auto"]
    accepted(endpoint, minimum(endpoint, duration=str(max(numbers))))
    for beyond in (str(min(numbers) - 1), str(max(numbers) + 1), f"{numbers[0]}s", numbers[0]):
        assert refused(endpoint, minimum(endpoint, duration=beyond)) == [("duration", "literal_error")]
    for other in {"480p", "720p", "1080p", "4k", "8k"} - set(choices(endpoint, "resolution")):
        assert refused(endpoint, minimum(endpoint, resolution=other)) == [("resolution", "literal_error")]
    for field, info in ENDPOINTS[endpoint].schema.model_fields.items():
        if info.is_required():
            without = {name: value for name, value in minimum(endpoint).items() if name != field}
            assert refused(endpoint, without) == [(field, "missing")]


@pytest.mark.parametrize("endpoint", ANY)
def test_duration_auto_where_the_endpoint_has_it(endpoint: str) -> None:
    given = minimum(endpoint, duration="auto")
    if endpoint in WITHOUT_AUTO:
        assert refused(endpoint, given) == [("duration", "literal_error")]
    else:
        assert accepted(endpoint, given).duration == "auto"


@pytest.mark.parametrize(
    ("endpoint", "ignored"),
    [
        (f"{S20}/text-to-video", {"image_url": 5, "seed": "x", "codec": "x", "draft": "x", "task": "x"}),
        (f"{S20}/mini/image-to-video", {"bitrate_mode": "x", "image_urls": 5}),
        (f"{S25}/us/text-to-video", {"draft": "x", "seed": "x"}),
        (f"{S25}/flash/text-to-video", {"draft": "x", "image_url": 5}),
        (LEGACY_IMAGE[1], {"generate_audio": "x", "bitrate_mode": "x"}),
        (LEGACY_IMAGE[2], {"end_image_url": 5}),
    ],
)
def test_field_of_another_endpoint_is_ignored(endpoint: str, ignored: dict[str, Any]) -> None:
    assert accepted(endpoint, minimum(endpoint, **ignored)) == accepted(endpoint, minimum(endpoint))


R20, R25 = f"{S20}/reference-to-video", f"{S25}/reference-to-video"


@pytest.mark.parametrize(
    ("endpoint", "fields", "error"),
    [
        (f"{S25}/image-to-video", {"aspect_ratio": "16:9"}, ("aspect_ratio", "literal_error")),
        (f"{S25}/text-to-video", {"codec": "AV1"}, ("codec", "literal_error")),
        (f"{S25}/text-to-video", {"draft": "perhaps"}, ("draft", "bool_parsing")),
        (LEGACY_IMAGE[0], {"camera_fixed": "perhaps"}, ("camera_fixed", "bool_parsing")),
        (R20, {"image_urls": [IMAGE] * 10}, ("image_urls", "too_long")),
        (R20, {"video_urls": [VIDEO] * 4}, ("video_urls", "too_long")),
        (R20, {"audio_urls": [SOUND] * 4, "image_urls": [IMAGE]}, ("audio_urls", "too_long")),
        (R20, {"image_urls": IMAGE}, ("image_urls", "list_type")),
        (R20, {"image_urls": [IMAGE, 5]}, ("image_urls.1", "string_type")),
        (R20, {"image_urls": [IMAGE] * 9, "video_urls": [VIDEO] * 2, "audio_urls": [SOUND] * 2}, ("", "value_error")),
        (R20, {"audio_urls": [SOUND]}, ("", "value_error")),
        (R25, {"image_urls": [IMAGE] * 31}, ("image_urls", "too_long")),
        (R25, {"video_urls": [VIDEO] * 11}, ("video_urls", "too_long")),
        (R25, {"task": "remix"}, ("task", "literal_error")),
        (R25, {"task": "editing", "duration": "5"}, ("", "value_error")),
        (R25, {"task": "editing", "duration": "auto", "aspect_ratio": "16:9"}, ("", "value_error")),
        (R25, {"task": "extension", "aspect_ratio": "16:9"}, ("", "value_error")),
    ],
)
def test_input_beyond_the_endpoint_is_refused(endpoint: str, fields: dict[str, Any], error: tuple[str, str]) -> None:
    assert refused(endpoint, minimum(endpoint, **fields)) == [error]


@pytest.mark.parametrize(
    ("endpoint", "fields"),
    [
        (R20, {"image_urls": [IMAGE] * 9, "video_urls": [VIDEO] * 3}),
        (R20, {"audio_urls": [SOUND] * 3, "video_urls": [VIDEO]}),
        (R25, {"image_urls": [IMAGE] * 30, "video_urls": [VIDEO] * 10, "audio_urls": [SOUND] * 10}),
        (R25, {"task": "editing", "duration": "auto"}),
        (R25, {"task": "extension", "duration": "30"}),
    ],
)
def test_largest_reference_inputs_are_accepted(endpoint: str, fields: dict[str, Any]) -> None:
    accepted(endpoint, minimum(endpoint, **fields))


async def test_error_of_rule_has_the_form_of_fal(fal: Fal) -> None:
    answer = await finished(fal.http, R20, minimum(R20, audio_urls=[SOUND]))
    (entry,) = answer.json()["detail"]
    assert (answer.status_code, answer.headers["x-fal-billable-units"]) == (422, "0")
    assert (entry["loc"], entry["type"]) == (["body"], "value_error")
    assert entry["url"] == "https://docs.fal.ai/errors#value_error"


@pytest.mark.parametrize(
    ("endpoint", "field"),
    [(f"{S25}/text-to-video", "prompt"), (R20, "image_urls"), (LEGACY_IMAGE[0], "image_url")],
)
@pytest.mark.parametrize("ending", ["policy", "bad-image"])
async def test_refusal_names_a_field_of_the_endpoint(fal: Fal, endpoint: str, field: str, ending: str) -> None:
    answer = await finished(fal.http, endpoint, minimum(endpoint, prompt=f"sandbox:{ending}"))
    (entry,) = answer.json()["detail"]
    assert (answer.status_code, entry["loc"]) == (422, ["body", field])


# --- drafts -----------------------------------------------------------------------------------------------------------


async def test_draft_is_completed_at_1080p_with_its_seconds(fal: Fal) -> None:
    body = minimum(R25, draft=True, duration="7", video_urls=[VIDEO], seed=42)
    draft = (await finished(fal.http, R25, body)).json()
    answer = await finished(fal.http, COMPLETE, {"draft_id": draft["draft_id"]})
    assert (answer.status_code, set(answer.json()), answer.json()["seed"]) == (200, {"video", "seed"}, 42)
    event = await bill(fal.http, answer)
    assert (event["endpoint_id"], event["unit_price"]) == (COMPLETE, 0.0234)
    assert answer.headers["x-fal-billable-units"] == "342.225"  # 2025 * (7 * 24 + 1) / 1000


async def test_completion_of_unknown_draft_is_refused(fal: Fal) -> None:
    answer = await finished(fal.http, COMPLETE, {"draft_id": "none"})
    (entry,) = answer.json()["detail"]
    assert (answer.status_code, entry["loc"]) == (422, ["body", "draft_id"])
    assert refused(COMPLETE, {}) == [("draft_id", "missing")]
    assert refused(COMPLETE, {"draft_id": "x", "resolution": "720p"}) == [("resolution", "literal_error")]


@pytest.mark.parametrize(("speed", "is_valid"), [(1.0, True), (1e12, False)])
def test_draft_is_valid_for_seven_days(speed: float, is_valid: bool) -> None:
    drafts = Drafts(Settings(speed=speed))
    draft_id = drafts.add(accepted(R25, minimum(R25, draft=True)), 1, render=False)
    completion = drafts.completion(accepted(COMPLETE, {"draft_id": draft_id}))
    assert isinstance(completion, Request) is is_valid


# --- the gateway's data of the same models ----------------------------------------------------------------------------


def choices(endpoint: str, field: str) -> tuple[str, ...]:
    annotation = ENDPOINTS[endpoint].schema.model_fields[field].annotation
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def test_gateway_knows_every_endpoint() -> None:
    """A newer model can be the gateway's alone: the sandbox then serves it from the gateway's file."""
    assert set(ENDPOINTS) <= set(packaged())


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_gateway_sends_only_what_the_endpoint_accepts(endpoint: str) -> None:
    model = packaged()[endpoint]
    priced_only = {"duration"} if endpoint == COMPLETE else set()  # the duration of a completion is the draft's
    known = ENDPOINTS[endpoint].schema.model_fields
    assert set(known) - {"end_user_id"} == set(model.fields) - priced_only
    for name, field in model.fields.items():
        if name not in priced_only:
            assert_accepts(endpoint, name, field)


def assert_accepts(endpoint: str, name: str, field: InputField) -> None:
    info = ENDPOINTS[endpoint].schema.model_fields[name]
    assert info.is_required() == field.required, name
    assert set(field.choices) <= set(choices(endpoint, name)), name
    if field.default is not None:
        assert info.default == field.default, name
    if field.files and field.files.count:
        most = minimum(endpoint, **{"image_urls": [IMAGE], name: [IMAGE] * field.files.count})
        accepted(endpoint, most)
        assert refused(endpoint, {**most, name: [IMAGE] * (field.files.count + 1)})[0] == (name, "too_long")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_gateway_has_the_same_price(endpoint: str) -> None:
    theirs, ours = ENDPOINTS[endpoint].price, packaged()[endpoint].price
    assert (theirs.rates, theirs.unit_tokens, theirs.silent_factor) == (
        ours.rates,
        ours.unit_tokens,
        ours.silent_factor,
    )
    videos = packaged()[endpoint].input_videos
    assert ENDPOINTS[endpoint].longest_input == (0 if videos is None else videos.longest_seconds)
    if videos is not None:
        assert theirs.video_input_factor == ours.video_input_factor


def inputs(model: Model) -> list[tuple[Decimal | None, tuple[Decimal | None, ...]]]:
    """Return seconds of input videos, and what is measured of them; None: no video, or not measured."""
    videos = model.input_videos
    if videos is None or videos.longest_seconds is None:
        return [(None, ())]
    least, most = videos.shortest_seconds, videos.longest_seconds
    measured = [(seconds, (seconds,)) for seconds in (least, Decimal("3.337"), most)]
    return [(None, ()), *measured, (least, (None,)), (most, (None,)), (most, (least, None)), (most, (None, None))]


@pytest.mark.parametrize("resolution", ["480p", "720p", "1080p"])
def test_bill_of_draft_bounds_its_seconds(resolution: str) -> None:
    rates, whole = Rates.of(packaged()[R25]), Rates.of(packaged()[COMPLETE])
    for ratio, seconds in itertools.product(SIZES[resolution], range(4, 31)):
        units = dimensions(resolution, ratio, str(seconds)).tokens(Decimal(0)) / 1000
        bound = rates.longest_billed(resolution, "auto", units)
        assert seconds <= bound <= seconds * 1.1 + 1, (ratio, seconds)
        bill = dimensions("1080p", ratio, str(seconds)).tokens(Decimal(0)) / 1000
        held = whole.estimate("1080p", str(bound))
        assert whole.settle("1080p", bill, held).cost <= held
        direct = rates.rescaled(rates.settle(resolution, units, 10**9).cost, resolution, "auto", to="1080p")
        assert direct == pytest.approx(float(bill * rates.per_thousand_tokens["1080p"] * 10**6), rel=0.08)
    assert rates.longest_billed(resolution, "7", Decimal(1)) == 7
    assert [rates.longest_billed(resolution, "auto", units) for units in (None, Decimal(0), Decimal(10**9))] == [30] * 3


@pytest.mark.parametrize("endpoint", [endpoint for endpoint in packaged() if endpoint in ENDPOINTS])
def test_settled_bill_is_never_above_the_hold(endpoint: str) -> None:
    rates, price = Rates.of(packaged()[endpoint]), ENDPOINTS[endpoint].price
    options = itertools.product(
        choices(endpoint, "resolution"), packaged()[endpoint].durations, (True, False), inputs(packaged()[endpoint])
    )
    for resolution, duration, audio, (seconds, measured) in options:
        priced = rates.input_seconds(measured)
        held = rates.estimate(resolution, duration, audio=audio, input_seconds=priced)
        urls = None if seconds is None else [VIDEO]
        request = Request(resolution=resolution, duration=duration, generate_audio=audio, video_urls=urls)
        least, most = rates.expected_units(resolution, duration, input_seconds=priced)
        for ratio in SIZES[resolution]:
            units = dimensions(resolution, ratio, duration).tokens(seconds or Decimal(0)) / price.unit_tokens
            settled = rates.settle(resolution, units, held, audio=audio, video_input=priced is not None)
            assert (settled.reason, settled.cost <= held) == (None, True), (resolution, duration, ratio, seconds)
            assert settled.cost == pytest.approx(float(units * price.rate(request)) * 1_000_000, abs=1)
            assert least <= units <= most, (resolution, duration, ratio, seconds)
