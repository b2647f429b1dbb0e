"""Endpoints of the Seedance family as data: input schema, rules between fields, price.

Written from fal's pages, independently of the gateway's files of models; a test compares both. A field that an endpoint
may or may not have is left out: fal ignores unknown fields.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from sandbox import rules
from sandbox.outcome import Outcome
from sandbox.schema import Fields, Request, Rule, check, choice, files, optional, schema, seconds


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per unit of `unit_tokens` tokens, by resolution, and the factors of the rate."""

    rates: dict[str, Decimal]
    unit_tokens: int = 1000
    silent_factor: Decimal = Decimal(1)
    video_input_factor: Decimal = Decimal("0.6")

    def rate(self, request: Request) -> Decimal:
        rate = self.rates[request.resolution]
        if not request.generate_audio:
            rate *= self.silent_factor
        return rate * self.video_input_factor if request.video_urls else rate


@dataclass(frozen=True, slots=True)
class Endpoint:
    schema: type[BaseModel]
    price: Price
    rules: tuple[Rule, ...] = ()
    longest_input: Decimal = Decimal(0)  # seconds of all input videos together

    def check(self, given: Any) -> Request | Outcome:
        return check(self.schema, self.rules, given)


def price(**rates: str) -> Price:
    """`price(p720="0.014")`: a price per 1,000 tokens."""
    return Price({_RESOLUTIONS[name]: Decimal(rate) for name, rate in rates.items()})


def legacy_price(rate: str, silent_factor: str = "1") -> Price:
    rates = dict.fromkeys(("480p", "720p", "1080p"), Decimal(rate))
    return Price(rates, unit_tokens=1_000_000, silent_factor=Decimal(silent_factor))


_RESOLUTIONS = {"p480": "480p", "p720": "720p", "p1080": "1080p", "p4k": "4k"}

DEFAULT = "bytedance/seedance-2.0/image-to-video"

PROMPT: Fields = {"prompt": (str, ...)}
IMAGE: Fields = {"image_url": (str, ...)}
END_IMAGE: Fields = {"end_image_url": optional(str)}
RATIO: Fields = {"aspect_ratio": choice("auto", "21:9", "16:9", "4:3", "1:1", "3:4", "9:16", default="auto")}
AUDIO: Fields = {"generate_audio": (bool, True)}
BITRATE: Fields = {"bitrate_mode": choice("standard", "high", default="standard")}
CODEC: Fields = {"codec": choice("auto", "H264", "H265", default="auto")}
DRAFT: Fields = {"draft": (bool, False)}
SEED: Fields = {"seed": optional(int)}
END_USER: Fields = {"end_user_id": optional(str)}

# --- 2.0 --------------------------------------------------------------------------------------------------------------

COMMON_2_0: Fields = {**PROMPT, "duration": seconds(4, 15), **RATIO, **AUDIO, **END_USER}
KINDS_2_0: dict[str, Fields] = {
    "text-to-video": COMMON_2_0,
    "image-to-video": {**COMMON_2_0, **IMAGE, **END_IMAGE, **SEED},
    "reference-to-video": {**COMMON_2_0, "image_urls": files(9), "video_urls": files(3), "audio_urls": files(3)},
}
RULES_2_0: dict[str, tuple[Rule, ...]] = {
    "reference-to-video": (rules.at_most_files(12), rules.audio_needs_image_or_video)
}
INPUT_2_0, INPUT_2_5 = Decimal(15), Decimal("30.2")
VARIANTS_2_0: dict[str, tuple[Fields, Price]] = {
    "": (BITRATE, price(p480="0.014", p720="0.014", p1080="0.014", p4k="0.008")),
    "fast/": (BITRATE, price(p480="0.0112", p720="0.0112")),
    "mini/": ({}, price(p480="0.007", p720="0.007")),
    "us/": ({}, price(p480="0.0168", p720="0.0168")),
}

# --- 2.5 --------------------------------------------------------------------------------------------------------------

COMMON_2_5: Fields = {**PROMPT, **RATIO, **AUDIO, **END_USER}
KINDS_2_5: dict[str, Fields] = {
    "text-to-video": COMMON_2_5,
    "image-to-video": {**COMMON_2_5, **IMAGE, **END_IMAGE, "aspect_ratio": choice("auto", default="auto")},
    "reference-to-video": {
        **COMMON_2_5,
        "prompt": optional(str),
        "image_urls": files(30),
        "video_urls": files(10),
        "audio_urls": files(10),
        "task": choice("reference", "editing", "extension", default="reference"),
        **SEED,
    },
}
RULES_2_5: dict[str, tuple[Rule, ...]] = {
    "reference-to-video": (
        rules.at_most_files(50),
        rules.audio_needs_image_or_video,
        rules.editing_forces_auto,
        rules.extension_forces_auto_aspect,
    )
}
AUTO_2_5: Fields = {"duration": seconds(4, 30)}
NO_AUTO_2_5: Fields = {"duration": seconds(4, 30, auto=False)}
VARIANTS_2_5: dict[str, tuple[Fields, Price]] = {
    "": ({**AUTO_2_5, **BITRATE, **CODEC, **DRAFT}, price(p480="0.0214", p720="0.0214", p1080="0.0234")),
    "us/": ({**NO_AUTO_2_5, **BITRATE, **CODEC}, price(p480="0.02568", p720="0.02568", p1080="0.02808")),
}
FLASH_2_5: Fields = {**COMMON_2_5, **NO_AUTO_2_5}
COMPLETION: Fields = {"draft_id": (str, ...), "resolution": choice("1080p", default="1080p"), **CODEC}

# --- 1.5 and 1.0 ------------------------------------------------------------------------------------------------------

COMMON_1: Fields = {**PROMPT, **SEED, "camera_fixed": (bool, False), "enable_safety_checker": (bool, True)}
COMMON_1_5: Fields = {**COMMON_1, **AUDIO, "duration": seconds(4, 12, auto=False, default="5")}
COMMON_1_0: Fields = {**COMMON_1, "duration": seconds(2, 12, auto=False, default="5")}
LEGACY: dict[str, tuple[Fields, str, Price]] = {
    "v1.5/pro/text-to-video": (COMMON_1_5, "720p", legacy_price("2.4", silent_factor="0.5")),
    "v1.5/pro/image-to-video": (
        {**COMMON_1_5, **IMAGE, **END_IMAGE},
        "720p",
        legacy_price("2.4", silent_factor="0.5"),
    ),
    "v1/pro/text-to-video": (COMMON_1_0, "1080p", legacy_price("2.5")),
    "v1/pro/image-to-video": ({**COMMON_1_0, **IMAGE, **END_IMAGE}, "1080p", legacy_price("2.5")),
    "v1/pro/fast/text-to-video": (COMMON_1_0, "1080p", legacy_price("1.0")),
    "v1/pro/fast/image-to-video": ({**COMMON_1_0, **IMAGE}, "1080p", legacy_price("1.0")),
}


def _endpoints() -> Iterator[tuple[str, Endpoint]]:
    families = (
        ("bytedance/seedance-2.0", KINDS_2_0, RULES_2_0, VARIANTS_2_0, INPUT_2_0),
        ("bytedance/seedance-2.5", KINDS_2_5, RULES_2_5, VARIANTS_2_5, INPUT_2_5),
    )
    for head, kinds, rules_of, variants, longest in families:
        for variant, (extras, cost) in variants.items():
            for kind, fields in kinds.items():
                endpoint = _endpoint({**fields, **extras}, "720p", cost, rules_of.get(kind, ()))
                yield (
                    f"{head}/{variant}{kind}",
                    replace(endpoint, longest_input=longest) if "video_urls" in fields else endpoint,
                )
    flash = price(p480="0.014", p720="0.014")
    yield "bytedance/seedance-2.5/flash/text-to-video", _endpoint(FLASH_2_5, "720p", flash)
    yield "bytedance/seedance-2.5/draft/complete", Endpoint(schema("Input", COMPLETION), price(p1080="0.0234"))
    for path, (fields, resolution, cost) in LEGACY.items():
        yield f"fal-ai/bytedance/seedance/{path}", _endpoint(fields, resolution, cost)


def _endpoint(fields: Fields, resolution: str, cost: Price, rules_of: tuple[Rule, ...] = ()) -> Endpoint:
    """Return an endpoint with the resolutions of its price; `resolution` is the default."""
    resolutions = choice(*cost.rates, default=resolution)
    return Endpoint(schema("Input", {**fields, "resolution": resolutions}), cost, rules_of)


#: By endpoint id.
ENDPOINTS: dict[str, Endpoint] = dict(_endpoints())
