"""Generations with reference files, from the create to the settled cost, over the sandbox."""

import base64
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from sandbox.files import READY_VIDEO
from service.config.settings import Settings
from service.domain.generation import Generation
from service.domain.models import registry
from service.domain.pricing import Rates
from service.domain.settlement import settled
from service.domain.status import Status
from service.domain.tenant import Limits, Tenant
from service.domain.work_queue import WorkQueue
from service.errors import Invalid
from service.runtime import Runtime
from service.store.generations import records
from tests.support import factories
from tests.support.factories import Clock
from tests.support.pictures import encoded
from tests.support.unconfirmed import oracle, polled_to_the_end
from tests.support.waiting import process_due, stored

MODEL = registry.build(enabled=["*"]).enabled["bytedance/seedance-2.5/reference-to-video"]
IMAGE, VIDEO, SOUND = (f"https://v3b.fal.media/{name}" for name in ("a.png", "clip.mp4?sandbox-seconds=7.5", "a.mp3"))
BODY: dict[str, Any] = {
    "prompt": "sandbox:no-video @Image1 walks as in @Video1",
    "resolution": "480p",
    "duration": "5",
    "image_urls": [IMAGE],
    "video_urls": [VIDEO],
    "audio_urls": [SOUND],
}


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url, models=("*",), preflight=False)


@pytest.fixture
async def owner(runtime: Runtime) -> Tenant:
    return await runtime.tenants.service.create("acme", Limits())


async def created(runtime: Runtime, owner: Tenant, **changes: Any) -> Generation:
    request = runtime.generations.forms.of(MODEL).check({**BODY, **changes}, owner.limits)
    return (await runtime.generations.creator.create(owner, request)).generation


async def ended(runtime: Runtime, clock: Clock, g: Generation) -> Generation:
    await process_due(runtime, WorkQueue.DISPATCH)
    clock.advance(timedelta(seconds=60))
    return await polled_to_the_end(runtime, clock, await stored(runtime, g))


async def test_references_are_submitted_and_settled_with_the_factor(
    runtime: Runtime, owner: Tenant, clock: Clock, sandbox_url: str
) -> None:
    g = await created(runtime, owner)
    done = await ended(runtime, clock, g)

    rates = Rates.of(MODEL)
    assert g.input_seconds == Decimal("30.2"), "the length of a video elsewhere is not known"
    assert g.estimated_cost == rates.estimate("480p", "5", input_seconds=Decimal("30.2"))
    assert {name: done.input[name] for name in BODY} == BODY
    units = Decimal(864 * 496) * (Decimal("12.5") * 24 + 1) / 1024 / 1000
    assert done.status is Status.SUCCEEDED
    assert done.billable_units == pytest.approx(units)
    assert done.actual_cost == pytest.approx(float(units * Decimal("0.0214") * Decimal("0.6")) * 1_000_000, abs=1)
    (job,) = [job for job in await oracle(sandbox_url) if job["request_id"] == done.request_id]
    assert job["endpoint"] == MODEL.id


async def test_references_of_an_erased_end_user_are_removed_and_still_settled(
    runtime: Runtime, owner: Tenant, clock: Clock
) -> None:
    g = await created(runtime, owner, end_user_id="customer-7")
    await process_due(runtime, WorkQueue.DISPATCH)
    erased = (await stored(runtime, g)).stripped(clock())

    assert set(erased.input) == {"resolution", "duration"}
    assert all(url not in records.dump(erased).decode() for url in (IMAGE, VIDEO, SOUND))
    rates, units = Rates.of(MODEL), Decimal(100)
    assert settled(erased, units, rates) == settled(g, units, rates)
    assert settled(g, units, rates).cost == 100 * 21_400 * 6 // 10


def data(content: bytes) -> str:
    """Return a data URI. Its media type does not count."""
    return f"data:application/x;base64,{base64.b64encode(content).decode()}"


async def test_data_uri_of_a_video_is_uploaded_and_held_with_its_seconds(runtime: Runtime, owner: Tenant) -> None:
    clip = READY_VIDEO.read_bytes()
    g = await created(runtime, owner, video_urls=[data(clip)])
    again = await created(runtime, owner, video_urls=g.input["video_urls"])

    (url,) = g.input["video_urls"]
    assert url.startswith("http")
    assert g.input_seconds == again.input_seconds
    assert g.input_seconds is not None
    assert 0 < g.input_seconds < 30
    assert g.estimated_cost == Rates.of(MODEL).estimate("480p", "5", input_seconds=g.input_seconds)


@pytest.mark.parametrize(
    ("field", "content"),
    [("video_urls", encoded("png")), ("audio_urls", READY_VIDEO.read_bytes()), ("video_urls", b"")],
)
async def test_data_uri_of_another_kind_is_refused(runtime: Runtime, owner: Tenant, field: str, content: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        await created(runtime, owner, **{field: ["https://v3b.fal.media/a", data(content)]}, prompt="x")

    assert [fault.pointer for fault in refused.value.errors] == [f"/{field}/1"]


async def test_data_uris_among_image_urls_are_uploaded(runtime: Runtime, owner: Tenant) -> None:
    g = await created(runtime, owner, image_urls=[IMAGE, data(encoded("png")), IMAGE])

    first, uploaded, last = g.input["image_urls"]
    assert (first, last) == (IMAGE, IMAGE)
    async with httpx.AsyncClient() as client:
        assert (await client.get(uploaded)).content.startswith(b"\x89PNG")
