"""Checks that the model does when it runs: the schema, the images, the billing."""

from typing import Any

import pytest

from sandbox.dimensions import SIZES, dimensions
from tests.integration.sandbox.driver import ENDPOINT, Fal
from tests.integration.sandbox.images import COFFEE, data_uri, encoded, plain, served


@pytest.mark.parametrize(
    ("fields", "field", "kind"),
    [
        ({"duration": 5}, "duration", "literal_error"),
        ({"duration": "16"}, "duration", "literal_error"),
        ({"resolution": "8k"}, "resolution", "literal_error"),
        ({"aspect_ratio": "2:1"}, "aspect_ratio", "literal_error"),
        ({"bitrate_mode": "low"}, "bitrate_mode", "literal_error"),
        ({"generate_audio": "perhaps"}, "generate_audio", "bool_parsing"),
        ({"seed": "one"}, "seed", "int_parsing"),
        ({"image_url": None}, "image_url", "string_type"),
        ({"end_user_id": 5}, "end_user_id", "string_type"),
    ],
)
async def test_invalid_field_is_422_at_result_only(fal: Fal, fields: dict[str, Any], field: str, kind: str) -> None:
    request_id = await fal.submit("sandbox:seconds=60", **fields)  # refused before any second is spent
    result = await fal.finish(request_id)
    (detail,) = result.json()["detail"]
    assert result.status_code == 422
    assert result.headers["x-fal-billable-units"] == "0"
    assert (detail["loc"], detail["type"]) == (["body", field], kind)
    assert detail["url"] == f"https://docs.fal.ai/errors#{kind}"
    assert "error" not in (await fal.status(request_id)).json()


@pytest.mark.parametrize("body", ["[1]", '"text"', '{"prompt": "\\ud800", "image_url": NaN}'])
async def test_any_json_is_accepted_and_result_is_422(fal: Fal, body: str) -> None:
    accepted = await fal.http.post(ENDPOINT, content=body)
    assert (await fal.finish(accepted.json()["request_id"])).status_code == 422


async def test_unknown_fields_are_ignored(fal: Fal) -> None:
    assert (await fal.outcome(camera_fixed=True)).status_code == 200


async def test_seed_is_echoed_or_random(fal: Fal) -> None:
    assert (await fal.outcome(seed=42)).json()["seed"] == 42
    assert (await fal.outcome()).json()["seed"] != (await fal.outcome()).json()["seed"]


@pytest.mark.parametrize(
    ("resolution", "aspect_ratio", "duration", "units"),
    [
        ("720p", "16:9", "5", "108.9"),
        ("720p", "16:9", "auto", "108.9"),
        ("720p", "16:9", "4", "87.3"),
        ("480p", "16:9", "5", "50.6385"),
        ("480p", "1:1", "15", "144.4"),
        ("1080p", "9:16", "5", "245.025"),
        ("4k", "16:9", "5", "980.1"),
    ],
)
async def test_billable_units_are_thousands_of_tokens(
    fal: Fal, resolution: str, aspect_ratio: str, duration: str, units: str
) -> None:
    result = await fal.outcome(resolution=resolution, aspect_ratio=aspect_ratio, duration=duration)
    assert result.headers["x-fal-billable-units"] == units


@pytest.mark.parametrize("resolution", SIZES)
def test_video_size_is_even_in_ratio_and_of_equal_area(resolution: str) -> None:
    for ratio, (width, height) in SIZES[resolution].items():
        across, down = map(int, ratio.split(":"))
        wide, high = SIZES[resolution]["16:9"]
        assert width % 2 == height % 2 == 0
        assert width / height == pytest.approx(across / down, rel=0.03)
        assert width * height == pytest.approx(wide * high, rel=0.05)


@pytest.mark.parametrize(
    ("size", "chosen"),
    [
        ((2100, 900), (1470, 630)),
        ((1920, 1080), (1280, 720)),
        ((640, 480), (1112, 834)),
        ((500, 510), (960, 960)),
        ((300, 401), (834, 1112)),
        ((90, 1600), (720, 1280)),
    ],
)
def test_ratio_auto_is_nearest_to_image(size: tuple[int, int], chosen: tuple[int, int]) -> None:
    found = dimensions("720p", "auto", "auto", size)
    assert (found.width, found.height, found.seconds, found.frames) == (*chosen, 5, 120)


async def test_image_is_fetched_over_http(fal: Fal) -> None:
    async with served({"cup.webp": COFFEE.read_bytes()}) as address:
        result = await fal.outcome("a cup", image_url=f"{address}/cup.webp", resolution="480p", duration="4")
    assert result.headers["x-fal-billable-units"] == "39.89125"  # 752x560: 4:3 is nearest to 600x400


async def image_error(fal: Fal, **images: str) -> dict[str, Any]:
    request_id = await fal.submit("a picture that cannot be used", **images)
    result = await fal.finish(request_id)
    assert (result.status_code, result.headers["x-fal-billable-units"]) == (422, "0")
    (detail,) = result.json()["detail"]
    found: dict[str, Any] = detail
    return found


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://127.0.0.1:1/nobody.jpg", "file_download_error"),
        ("not a url", "file_download_error"),
        ("ftp://127.0.0.1/a.jpg", "file_download_error"),
        ("http://[bad/a.jpg", "file_download_error"),
        ("data:image/png;base64,@@@", "image_load_error"),
        ("data:image/png", "image_load_error"),
        (data_uri(b"no image"), "image_load_error"),
        (data_uri(encoded(plain(80, 60), "JPEG")[:400]), "image_load_error"),
        (data_uri(encoded(plain(80, 60), "GIF")), "unsupported_image_format"),
        (data_uri(encoded(plain(9000, 10))), "image_too_large"),
    ],
)
async def test_unusable_image_is_named(fal: Fal, url: str, kind: str) -> None:
    detail = await image_error(fal, image_url=url)
    assert (detail["loc"], detail["type"]) == (["body", "image_url"], kind)


async def test_image_missing_or_too_large_is_refused(fal: Fal) -> None:
    async with served({"huge.png": bytes(30_000_001)}) as address:
        missing = await image_error(fal, image_url=f"{address}/none.png")
        huge = await image_error(fal, image_url=f"{address}/huge.png")
    assert missing["type"] == "file_download_error"
    assert (huge["type"], huge["ctx"]) == ("file_too_large", {"max_size": 30_000_000})


async def test_unusable_end_image_is_named(fal: Fal) -> None:
    detail = await image_error(fal, end_image_url="http://127.0.0.1:1/nobody.jpg")
    assert detail["loc"] == ["body", "end_image_url"]
