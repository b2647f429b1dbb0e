"""The body of a create: fal's input fields and the gateway's own fields."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from service.domain.data_uri import is_data_uri
from service.domain.described import describe
from service.domain.field_types import (
    AnyDuration,
    AspectRatio,
    BitrateMode,
    FileSource,
    Metadata,
    OptionalMoney,
    Resolution,
    Url,
    not_blank,
    printable,
)
from service.domain.models.model import FieldType, Model

HIGHEST_PRIORITY: Final = 9
SEED_LIMIT: Final = 2**32 - 1
END_USER_LENGTH: Final = 256
SHORTEST_EXPIRY: Final = 10  # seconds
LONGEST_EXPIRY: Final = 7 * 24 * 3600
_FINGERPRINT_VERSION: Final = 1


class VideoInput(BaseModel):
    """fal's input fields, with the defaults of its model page."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, json_schema_extra=describe)

    prompt: Annotated[
        str, Field(description="What happens in the video, 4,000 characters at most."), AfterValidator(not_blank)
    ]
    image_url: Annotated[
        FileSource,
        Field(
            description=(
                "The first frame: JPEG, PNG or WebP, 30 MB at most. A URL that fal can fetch, 8,192 characters at "
                "most, or the image as a base64 data URI of any media type, which the gateway uploads to fal's storage."
            )
        ),
    ]
    end_image_url: Annotated[FileSource | None, Field(description="The last frame: as `image_url`. Default: none.")] = (
        None
    )
    resolution: Resolution = "720p"
    """Default `720p`. It decides the price: 5 seconds cost up to 0.71 USD at `480p` and up to 1.54 USD at `720p`.
    With the defaults (`720p`, `auto`) one generation holds up to 4.58 USD, at fal's list price. `1080p` and `4k`
    are accepted only if the operator allows them.
    """
    duration: AnyDuration = "auto"
    """Seconds of video, `4` to `15`, as a string or a number; default `auto`: fal chooses. `auto` holds the price of
    15 seconds: with the default `720p` up to 4.58 USD for one generation. `480p` and `5` hold 0.71 USD. If fal's
    video is shorter, the rest is released at the end.
    """
    aspect_ratio: AspectRatio = "auto"
    """Width to height; default `auto`: as the image. The price does not exceed the estimate for any ratio."""
    generate_audio: Annotated[
        bool, Field(description="Default `true`. The cost is the same with and without audio.")
    ] = True
    seed: Annotated[int | None, Field(ge=0, le=SEED_LIMIT)] = None
    """Default: fal chooses a random seed. The same seed and input give a similar video, not an identical one."""
    bitrate_mode: BitrateMode | None = None
    """Default: fal's. `high` gives larger files. Accepted only if the operator allows it."""
    end_user_id: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=END_USER_LENGTH,
            description=(
                "Your customer, 1 to 256 printable characters. fal receives a pseudonym. Daily limits and budgets"
                " count by it. Default: none; some tenants must give it."
            ),
        ),
        AfterValidator(lambda value: value if value is None else printable(value)),
    ] = None


IMAGE_FIELDS: Final = ("image_url", "end_image_url")
VIDEO_FIELDS: Final = tuple(name for name in VideoInput.model_fields if name != "end_user_id")


class CreateGeneration(VideoInput):
    """The body of ``POST /v1/generations``."""

    webhook_url: Annotated[
        Url | None,
        Field(
            description=(
                "URL that receives the event of the end. Default: the `webhook_url` of the tenant's limits. "
                "Webhook endpoints receive events in any case."
            )
        ),
    ] = None
    metadata: Annotated[
        Metadata,
        Field(
            description=(
                "Up to 16 pairs of your own, returned with the generation. Keys have 1 to 64 characters, values "
                "512 at most. Default: none."
            )
        ),
    ] = Field(default_factory=dict)
    priority: Annotated[
        int,
        Field(
            ge=0, le=HIGHEST_PRIORITY, description="0 to 9, default 0. Within your tenant, higher is dispatched first."
        ),
    ] = 0
    max_cost_usd: Annotated[
        OptionalMoney,
        Field(
            description=(
                "Most US dollars that this generation may cost, as a decimal string or a number. If the estimate "
                "is higher, the request is refused with 402 `max_cost_exceeded`. Default: no maximum of your own."
            )
        ),
    ] = None
    expires_in: Annotated[
        int | None,
        Field(
            ge=SHORTEST_EXPIRY,
            le=LONGEST_EXPIRY,
            description=(
                "Seconds that it may stay queued, 10 to 604800; then it fails with `expired` and costs nothing. "
                "Default: the deployment's setting, one day."
            ),
        ),
    ] = None

    spec: ClassVar[Model | None] = None
    """The model of which this is the request; None: the default one of the deployment."""
    input_fields: ClassVar[tuple[str, ...]] = VIDEO_FIELDS
    """Fields that fal receives. ``end_user_id`` is not among them: fal gets a pseudonym."""
    fingerprint_prefix: ClassVar[bytes] = b""
    """What the fingerprint has in front of the fields: the id of a model that is not the default one."""
    completes_drafts: ClassVar[bool] = False
    """Whether it names the draft that it completes."""
    reference_fields: ClassVar[Mapping[FieldType, str]] = {}
    """The fields that are lists of files, by their types."""
    absent: ClassVar[frozenset[str]] = frozenset()
    """Fields that the model does not have: they are refused, and None. mypy does not know that they can be None."""

    def video(self) -> dict[str, Any]:
        """Return the fields that fal receives, with their values."""
        return {name: value for name in self.input_fields if (value := getattr(self, name)) is not None}

    @property
    def wants_draft(self) -> bool:
        return self.spec is not None and "draft" in self.spec.fields and getattr(self, "draft", None) is True

    @property
    def completes(self) -> str | None:
        """The id of the draft's generation, if this is a request of a completion."""
        return getattr(self, "draft_id", None) if self.completes_drafts else None

    @property
    def has_data_uris(self) -> bool:
        return any(is_data_uri(source) for source in (self.image_url, self.end_image_url) if source is not None) or (
            bool(self.reference_fields) and any(is_data_uri(source) for source in self.references())
        )

    def references(self, *kinds: FieldType) -> list[str]:
        """Return the sources of the reference files of these types; no type: of all."""
        names = [name for kind, name in self.reference_fields.items() if not kinds or kind in kinds]
        return [source for name in names for source in getattr(self, name) or ()]

    def fingerprint(self) -> str:
        """Return a hash that is equal for bodies that mean the same: 5 and "5", metadata in any order.

        Fields that have their default value are left out. A release that adds an optional field thus computes the same
        fingerprint for an old body, and a client that repeats its create across the deploy gets its generation, not 422
        ``idempotency_mismatch``. Fields are hashed in the order of their declaration: do not reorder them.

        The id of a model is hashed too, unless it is the default one of the deployment.

        The version says what is hashed, and how. Increase it when the same body must hash differently, for example
        after a change of a default: creates that are repeated across that one deploy are then refused.
        """
        changed = self.__pydantic_serializer__.to_json(self, exclude_defaults=True)
        return f"{_FINGERPRINT_VERSION}:{hashlib.sha256(self.fingerprint_prefix + changed).hexdigest()}"
