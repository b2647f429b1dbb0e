"""Responses of fal's API, as the gateway returns them."""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from service.domain.described import Timestamp, described


@described
class FalFault(TypedDict):
    loc: list[str | int]
    """Path of the field, such as `["body", "image_url"]`."""
    msg: str
    """What is wrong with the field, for people."""
    type: str
    """Stable code of the fault."""


@described
class FalError(TypedDict):
    """``detail``: text, or one fault each. ``status`` alone where there is no such request, or nothing to cancel."""

    detail: NotRequired[str | list[FalFault] | dict[str, Any]]
    """What was wrong: text, or one entry for each wrong field."""
    error_type: NotRequired[str]
    """Stable code of the error."""
    status: NotRequired[Literal["NOT_FOUND", "ALREADY_COMPLETED"]]
    """`NOT_FOUND`: there is no such request. `ALREADY_COMPLETED`: it has ended and cannot be canceled."""


@described
class FalSubmitted(TypedDict):
    status: Literal["IN_QUEUE"]
    """Always `IN_QUEUE`."""
    request_id: str
    """Id of the request, which is the id of the generation."""
    response_url: str
    """URL of the result."""
    status_url: str
    """URL of the status."""
    cancel_url: str
    """URL that cancels the request."""
    queue_position: int
    """Requests of the same tenant that are dispatched before this one; 0 is the next."""


@described
class FalLogLine(TypedDict):
    message: str
    """Text of the line."""
    level: str
    """Level as fal sent it, such as `INFO`."""
    source: str
    """Always `USER`."""
    timestamp: Timestamp
    """When fal wrote the line, RFC 3339."""


@described
class FalMetrics(TypedDict):
    inference_time: NotRequired[float]
    """Seconds that fal rendered."""


@described
class FalStatus(TypedDict):
    """``error`` and ``error_type`` where it has not succeeded: fal has no state for that."""

    status: Literal["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    """`COMPLETED`: the request has ended, with or without a video."""
    request_id: str
    """Id of the request."""
    response_url: str
    """URL of the result."""
    status_url: str
    """URL of the status."""
    cancel_url: str
    """URL that cancels the request."""
    logs: list[FalLogLine] | None
    """Lines of fal's log if the query has `logs=1`, else `null`."""
    queue_position: NotRequired[int]
    """With `IN_QUEUE`: requests that are dispatched before this one."""
    metrics: NotRequired[FalMetrics]
    """With `COMPLETED`: measurements of the request."""
    error: NotRequired[str]
    """Why there is no video, for people."""
    error_type: NotRequired[str]
    """Stable code of the error."""


@described
class FalFile(TypedDict):
    url: str
    """Where the file is."""
    content_type: NotRequired[str]
    """Media type of the file."""
    file_name: NotRequired[str]
    """Name of the file."""
    file_size: NotRequired[int]
    """Size in bytes."""


@described
class FalOutput(TypedDict):
    video: FalFile
    """The generated video."""
    seed: int | None
    """The seed that fal used. `null`: fal did not say."""
    draft_id: NotRequired[str]
    """Of a draft: the id to send as `draft_id` to `bytedance/seedance-2.5/draft/complete`. It is the id of this request
    in the gateway, not fal's own id of the draft.
    """


@described
class FalCancelled(TypedDict):
    status: Literal["CANCELLATION_REQUESTED"]
    """Always `CANCELLATION_REQUESTED`, also if the request was canceled at once."""


@described
class FalUpload(TypedDict):
    """Put the bytes to ``upload_url``, use ``file_url``."""

    upload_url: str
    """URL for one `PUT` of the bytes, valid for 15 minutes."""
    file_url: str
    """URL of the image after the upload; use it as `image_url`."""


@described
class FalCdnToken(TypedDict):
    """Send the bytes to ``base_url`` and ``/files/upload``, with the token as a bearer token."""

    token: str
    """The token: an access ticket for uploads, valid for 15 minutes."""
    token_type: Literal["Bearer"]
    """Always `Bearer`."""
    base_url: str
    """URL in front of `/files/upload`."""
    expires_at: Timestamp
    """When the token stops working, ISO 8601 with an offset."""


@described
class FalCdnFile(TypedDict):
    """Use ``access_url`` as the URL of the image."""

    access_url: str
    """URL of the image; use it as `image_url`."""


@described
class FalKey(TypedDict):
    kty: Literal["OKP"]
    """Key type, always `OKP`."""
    crv: Literal["Ed25519"]
    """Curve, always `Ed25519`."""
    x: str
    """The public key, base64url without padding."""
    use: Literal["sig"]
    """Always `sig`: the key verifies signatures."""
    alg: Literal["EdDSA"]
    """Algorithm, always `EdDSA`."""


@described
class FalKeySet(TypedDict):
    keys: list[FalKey]
    """The keys that sign."""


class FalNothing(TypedDict):
    """An empty object."""
