"""The resolutions and durations that a tenant may use of a model: lists, schemas and estimates agree."""

from collections.abc import Mapping
from typing import Any, Final

import httpx
import jsonschema
import pytest
from fastapi import FastAPI

from service.config.settings import Settings
from service.domain.tenant import Limits
from tests.conftest import Connect
from tests.support import factories
from tests.support.model_requests import SERVED, smallest

EVERY: Final = ("480p", "720p", "1080p", "4k")
TENANTS: Final[Mapping[str, Limits]] = {
    "none": Limits(),
    "resolutions": Limits(resolutions=("480p", "4k")),
    "resolution_of_few": Limits(resolutions=("4k",)),
    "durations": Limits(durations=("4", "12", "auto")),
    "duration": Limits(durations=("5",)),
    "auto": Limits(durations=("auto",)),
    "both": Limits(resolutions=("720p", "1080p"), durations=("5", "30")),
}
MODELS: Final = (
    "bytedance/seedance-2.0/image-to-video",
    "bytedance/seedance-2.0/fast/text-to-video",
    "bytedance/seedance-2.5/us/image-to-video",  # callers must give the duration
    "fal-ai/bytedance/seedance/v1/pro/fast/text-to-video",
)
BY_ID: Final = {model.id: model for model in SERVED}
#: Seconds as text and as number. None, as of a resolution: the body has no such field.
DURATIONS: Final = (None, "auto", "3", "4", 5, "30", 31)


#: Resolutions of a deployment, and which of the tenants it has.
DEPLOYMENTS: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {
    EVERY: tuple(TENANTS),
    ("480p", "1080p"): ("none", "both"),
}


@pytest.fixture(params=DEPLOYMENTS, ids="-".join)
def settings(redis_url: str, request: pytest.FixtureRequest) -> Settings:
    return factories.settings(redis_url, models=("*",), resolutions=request.param)


async def accepted(api: httpx.AsyncClient, body: dict[str, Any]) -> bool:
    answer = await api.post("/v1/generations/estimate", json=body)
    assert answer.status_code in (200, 422), answer.text
    pointers = {fault["pointer"] for fault in answer.json().get("errors", ())}
    assert pointers <= {"/resolution", "/duration"}, answer.text
    return answer.status_code == 200


def changed(body: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {name: value for name, value in {**body, **values}.items() if value is not None}


async def test_usable_values_of_estimate_list_and_schema_agree(
    app: FastAPI, connect: Connect, settings: Settings
) -> None:
    for name in DEPLOYMENTS[settings.resolutions]:
        await check_tenant(await connect(await app.state.runtime.tenants.service.create("acme", TENANTS[name])))


async def check_tenant(api: httpx.AsyncClient) -> None:
    listed = {model["id"]: model for model in (await api.get("/v1/models")).json()["data"]}
    for model_id in MODELS:
        shown = (await api.get(f"/v1/models/{model_id}")).json()
        schema = jsonschema.Draft202012Validator(shown.pop("input_schema"))
        assert shown == listed[model_id]
        assert [price["resolution"] for price in shown["prices"]] == shown["resolutions"]
        resolutions, durations = shown["resolutions"], shown["durations"]
        usable = {"resolution": next(iter(resolutions), "480p"), "duration": next(iter(durations), "4")}
        body = smallest(BY_ID[model_id], **usable)
        for name, values, own, other in (
            ("resolution", (None, *EVERY), resolutions, durations),
            ("duration", DURATIONS, durations, resolutions),
        ):
            field = BY_ID[model_id].fields[name]
            for value in values:
                probe = changed(body, **{name: value})
                meant = field.default if value is None else str(value)
                is_usable = bool(other) and meant in own
                assert await accepted(api, probe) == is_usable, probe
                assert schema.is_valid(probe) == is_usable, probe
