"""One real video of every model, from the request of a caller to the file."""

import asyncio
import io
from typing import Any

import av
import httpx
import pytest

from sandbox.dimensions import FRAMES_PER_SECOND, SIZES
from service.config.settings import Settings
from service.domain.generation import Generation
from service.domain.models.model import Model
from service.domain.status import Status
from service.runtime import Runtime
from tests.integration.models.test_requests import ended
from tests.support import factories
from tests.support.factories import Clock
from tests.support.model_requests import LIMITS, SERVED, cheapest


@pytest.fixture
def settings(redis_url: str, sandbox_url: str) -> Settings:
    return factories.sandbox_settings(redis_url, sandbox_url, models=("*",), resolutions=LIMITS.resolutions)


def order(model: Model) -> dict[str, Any]:
    """Return the body of the shortest and smallest upright video, as H.265 where the model has the choice."""
    wanted = {"aspect_ratio": "9:16", "codec": "H265", "draft": True}
    offered = {name: value for name, value in wanted.items() if name in model.fields}
    if "9:16" not in (model.fields["aspect_ratio"].choices if "aspect_ratio" in model.fields else ()):
        offered.pop("aspect_ratio", None)
    return {**cheapest(model), "prompt": "a cat", **offered}


async def test_video_of_every_model_has_its_size_length_and_codec(
    runtime: Runtime, api: httpx.AsyncClient, clock: Clock
) -> None:
    bodies = [order(model) for model in SERVED]
    answers = [await api.post("/v1/generations", json=body) for body in bodies]
    assert [answer.status_code for answer in answers] == [202] * len(bodies)
    done = await ended(runtime, clock, [answer.json()["id"] for answer in answers])
    found = await asyncio.gather(*map(described, done))

    expected = [expectation(body) for body in bodies]
    different = {
        model.id: (is_, should)
        for model, is_, should in zip(SERVED, found, expected, strict=True)
        if is_[1:] != should[1:] or is_[0] not in should[0]
    }
    assert different == {}


async def test_completion_is_a_video_at_1080p_with_the_seconds_of_its_draft(
    runtime: Runtime, api: httpx.AsyncClient, clock: Clock
) -> None:
    model = next(model for model in SERVED if "draft" in model.fields)
    draft = (await api.post("/v1/generations", json=order(model))).json()
    await ended(runtime, clock, [draft["id"]])
    answer = await api.post(f"/v1/generations/{draft['id']}/complete", json={"codec": "H264"})
    assert answer.status_code == 202, answer.text
    (done,) = await ended(runtime, clock, [answer.json()["id"]])
    seconds = model.shortest_seconds
    assert await described(done) == (SIZES["1080p"]["9:16"], seconds * FRAMES_PER_SECOND, "h264", 0)


def expectation(body: dict[str, Any]) -> tuple[set[tuple[int, int]], int, str, int]:
    """Return the possible sizes, the frames, the codec, and the streams of sound of a video."""
    sizes = SIZES[body["resolution"]]
    possible = {sizes[body["aspect_ratio"]]} if "aspect_ratio" in body else set(sizes.values())
    codec = "hevc" if body.get("codec") == "H265" else "h264"
    return possible, int(body["duration"]) * FRAMES_PER_SECOND, codec, 0 if "generate_audio" in body else 1


async def described(g: Generation) -> tuple[tuple[int, int], int, str, int]:
    """Return the size in pixels, the frames, the codec, and the streams of sound of a generation's video."""
    assert g.status is Status.SUCCEEDED, (g.id, g.model, g.error)
    assert g.output is not None
    async with httpx.AsyncClient(verify=False) as client:  # noqa: S501  (the certificate of the sandbox)
        content = (await client.get(g.output.video.url)).raise_for_status().content
    with av.open(io.BytesIO(content), "r") as container:
        (picture,) = container.streams.video
        size = picture.codec_context.width, picture.codec_context.height
        return size, picture.frames, picture.codec_context.name, len(container.streams.audio)
