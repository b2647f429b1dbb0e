"""All errors that callers receive, as one family. Code, HTTP status and ``retryable`` are attributes of the class.

GatewayError
├── Malformed               400  the body is not a JSON object, or a parameter cannot be read
├── Unauthenticated         401  no API key, or a mistyped, unknown, revoked or expired one
├── OverBudget              402  the estimate exceeds what a budget has left
│   └── CostRefused              the estimate exceeds the request's own max_cost_usd
├── Forbidden               403  the API key does not have the scope
│   ├── EndUserBlocked           the tenant has blocked the end user
│   ├── ModelForbidden           the tenant may not use the model
│   └── ReferencesForbidden      the tenant may not use so many reference files
├── NotFound                404  unknown, or another tenant's: the two responses are equal on purpose
├── MethodNotAllowed        405  the route has no such method
├── Timeout                 408  the body arrived too slowly
├── Conflict                409  the current state does not allow the operation
│   ├── NotCancellable           the generation has ended
│   ├── VideoNotReady            the generation has not ended
│   ├── NotUnconfirmed           the generation is not unconfirmed (any more)
│   ├── NotGivenUp               the generation was not given up, or has changed since its read
│   ├── RequestIdTaken           the fal request id belongs to another generation
│   ├── NotSettled               the generation has not ended, so its cost cannot be adjusted
│   ├── CostChanged              the cost is not the one that the adjustment expects
│   ├── SpentBelowZero           the adjustment exceeds what was spent
│   ├── NotADraft                the generation is no draft
│   ├── DraftNotReady            the draft has not ended
│   ├── DraftFailed              the draft ended without a video that fal can complete
│   ├── DraftExpired             the time in which fal can complete the draft has ended
│   ├── TenantBusy               the tenant has work in flight
│   └── OverlapPromised          the rotation would end a key before the end of its overlap
├── PreconditionFailed      412  the object has changed since it was read (If-Match)
├── TooLarge                413  the body exceeds the limit
├── UnsupportedMedia        415  the route does not accept the content type
├── RangeUnsatisfiable      416  the range lies outside the file
├── Invalid                 422  a field is wrong; carries one FieldError per fault
│   └── BadImage                 the image cannot be used
│       ├── ImageFormat              not JPEG, PNG or WebP
│       ├── ImageTruncated           the file ends early
│       ├── ImageTrailingData        a file of another format follows the image
│       ├── ImageTooManyPixels       by its header
│       └── ImageUnreadable          it cannot be decoded
├── IdempotencyMismatch     422  the idempotency key was used with another payload
├── TooMany                 429  a limit of the tenant is reached; retry after Retry-After
│   ├── RateLimited              requests per minute
│   ├── TooManyStreams           open event streams
│   ├── TooManyWaiting           requests that wait for a generation
│   ├── TooManyBytes             bytes of bodies and uploads in progress
│   ├── TooManyDownloads         videos that are being read
│   ├── QueueFull                queued generations
│   ├── DailyLimited             generations of the tenant today
│   ├── EndUserLimited           generations of the end user today
│   ├── NewEndUsersLimited       end users that the tenant has named for the first time today
│   ├── DeliveriesFull           stored webhook deliveries
│   ├── TooManyTests             undelivered test events
│   └── TooManyActs              changes of configuration by the tenant today
├── MethodUnknown           501  the server does not know the method
└── Unavailable             503  retry later; nothing was changed
    ├── StoreUnavailable         Redis is unavailable or refuses writes
    │   └── StoreFull                Redis has too little memory for new data
    │       └── TenantStoreFull          and the tenant stores the largest part
    ├── Draining                 an operator drains the gateway
    ├── ImageLimit               an image takes more time, memory or bytes than an inspection may
    ├── MediaUnavailable         the video store is unavailable
    └── UpstreamUnavailable      fal is unavailable (only where a caller waits for fal: uploads, resolve)
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of one field. ``pointer`` is a JSON pointer into the body (RFC 6901); ``""`` means the whole body."""

    pointer: str
    detail: str
    type: str = "value_error"


class GatewayError(Exception):
    """Base of the family. ``detail`` is text for people. It never contains a secret, an API key or a prompt."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        """Seconds after which a retry makes sense; sent as ``Retry-After``."""

    @property
    def errors(self) -> tuple[FieldError, ...]:
        return ()

    @property
    def extra(self) -> dict[str, object]:
        """Return the members of the problem document beyond those of RFC 9457."""
        return {}


class Malformed(GatewayError):
    code, status, title = "malformed", 400, "Malformed request"


class Unauthenticated(GatewayError):
    code, status, title = "unauthenticated", 401, "Authentication required"


class OverBudget(GatewayError):
    code, status, title = "budget_exceeded", 402, "Budget exceeded"

    def __init__(
        self, detail: str, *, scope: str, limit: str, available: str, estimated: str, resets_at: str | None = None
    ) -> None:
        super().__init__(detail)
        self._extra = {
            "scope": scope,
            "limit": limit,
            "available": available,
            "estimated": estimated,
            "resets_at": resets_at,
        }

    @property
    def extra(self) -> dict[str, object]:
        return {**self._extra}


class CostRefused(OverBudget):
    code, title = "max_cost_exceeded", "Cost above max_cost_usd"


class Forbidden(GatewayError):
    code, status, title = "forbidden", 403, "Not allowed"


class EndUserBlocked(Forbidden):
    code, title = "end_user_blocked", "End user is blocked"


class ModelForbidden(Forbidden):
    code, title = "model_forbidden", "Model not allowed"


class ReferencesForbidden(Forbidden):
    code, title = "references_forbidden", "References not allowed"


class NotFound(GatewayError):
    code, status, title = "not_found", 404, "Not found"


class MethodNotAllowed(GatewayError):
    code, status, title = "method_not_allowed", 405, "Method not allowed"


class MethodUnknown(GatewayError):
    code, status, title = "method_unknown", 501, "Unknown method"


class Timeout(GatewayError):
    code, status, title, retryable = "request_timeout", 408, "Request took too long to arrive", True


class Conflict(GatewayError):
    code, status, title = "conflict", 409, "Conflict"


class NotCancellable(Conflict):
    code, title = "not_cancellable", "Already finished"


class VideoNotReady(Conflict):
    code, title, retryable = "video_not_ready", "Video not ready", True

    def __init__(self, detail: str, *, retry_after: float = 5.0) -> None:
        super().__init__(detail, retry_after=retry_after)


class NotUnconfirmed(Conflict):
    code, title = "not_unconfirmed", "Generation is not unconfirmed"


class NotGivenUp(Conflict):
    code, title = "not_given_up", "Generation was not given up"


class TenantDeleted(Conflict):
    code, title = "tenant_deleted", "Tenant was deleted"


class RequestIdTaken(Conflict):
    code, title = "request_id_taken", "fal request id belongs to another generation"


class NotSettled(Conflict):
    code, title = "not_settled", "Generation has not ended"


class CostChanged(Conflict):
    code, title = "cost_changed", "Cost differs from the expected cost"


class SpentBelowZero(Conflict):
    code, title = "spent_below_zero", "Adjustment exceeds the spent amount"


class NotADraft(Conflict):
    code, title = "not_a_draft", "Generation is not a draft"


class DraftNotReady(Conflict):
    code, title, retryable = "draft_not_ready", "Draft has not ended", True

    def __init__(self, detail: str, *, retry_after: float = 5.0) -> None:
        super().__init__(detail, retry_after=retry_after)


class DraftFailed(Conflict):
    code, title = "draft_failed", "Draft has no video that can be completed"


class DraftExpired(Conflict):
    code, title = "draft_expired", "Draft can no longer be completed"


class TenantBusy(Conflict):
    code, title = "tenant_busy", "Tenant has work in flight"

    def __init__(self, detail: str, *, in_flight: int, webhooks: int = 0) -> None:
        """``in_flight``: generations that have not ended, plus pending webhooks. ``webhooks``: those webhooks alone."""
        super().__init__(detail)
        self._in_flight = in_flight
        self._webhooks = webhooks

    @property
    def extra(self) -> dict[str, object]:
        return {"in_flight": self._in_flight, "webhooks": self._webhooks}


class OverlapPromised(Conflict):
    code, title = "overlap_promised", "The overlap of an earlier rotation is running"


class PreconditionFailed(GatewayError):
    code, status, title = "precondition_failed", 412, "Changed since it was read"


class TooLarge(GatewayError):
    code, status, title = "too_large", 413, "Body too large"


class UnsupportedMedia(GatewayError):
    code, status, title = "unsupported_media_type", 415, "Unsupported media type"


class RangeUnsatisfiable(GatewayError):
    code, status, title = "range_not_satisfiable", 416, "Range not satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(f"Range lies outside the file, which has {size} bytes.")
        self.size = size
        """Bytes of the whole file; sent in ``Content-Range``."""


class Invalid(GatewayError):
    code, status, title = "invalid", 422, "Invalid request"

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("; ".join(f"{e.pointer or 'body'}: {e.detail}" for e in errors))
        self._errors = errors

    @property
    def errors(self) -> tuple[FieldError, ...]:
        return self._errors


class IdempotencyMismatch(GatewayError):
    code, status, title = "idempotency_mismatch", 422, "Idempotency key reused with another payload"


class BadImage(Invalid):
    code, title = "image_unreadable", "Image cannot be used"

    def __init__(self, detail: str, *, pointer: str = "") -> None:
        super().__init__(FieldError(pointer, detail, self.code))
        self.reason = detail


class ImageFormat(BadImage):
    code, title = "image_format", "Unsupported image"


class ImageTruncated(BadImage):
    code, title = "image_truncated", "Image is truncated"


class ImageTrailingData(BadImage):
    code, title = "image_trailing_data", "File of another format after the image"


class ImageTooManyPixels(BadImage):
    code, title = "image_too_many_pixels", "Image has too many pixels"


class ImageUnreadable(BadImage):
    code, title = "image_unreadable", "Image cannot be decoded"


class BadClip(Invalid):
    code, title = "clip_unreadable", "Video or audio file cannot be used"

    def __init__(self, detail: str, *, pointer: str = "") -> None:
        super().__init__(FieldError(pointer, detail, self.code))
        self.reason = detail


class ClipFormat(BadClip):
    code, title = "clip_format", "Unsupported video or audio file"


class ClipTruncated(BadClip):
    code, title = "clip_truncated", "Video or audio file is truncated"


class ClipUnreadable(BadClip):
    code, title = "clip_unreadable", "Video or audio file cannot be measured"


class TooMany(GatewayError):
    code, status, title, retryable = "too_many", 429, "Limit reached", True


class RateLimited(TooMany):
    code, title = "rate_limited", "Rate limit exceeded"


class TooManyStreams(TooMany):
    code, title = "too_many_streams", "Too many event streams open"


class TooManyWaiting(TooMany):
    code, title = "too_many_waiting", "Too many waiting requests"


class TooManyBytes(TooMany):
    code, title = "too_many_bytes", "Too many bytes in progress"


class TooManyDownloads(TooMany):
    code, title = "too_many_downloads", "Too many videos being read"


class QueueFull(TooMany):
    code, title = "queue_full", "Queue limit reached"


class EndUserLimited(TooMany):
    code, title = "end_user_limited", "Daily limit of the end user reached"


class DailyLimited(TooMany):
    code, title = "daily_limited", "Daily limit of generations reached"


class NewEndUsersLimited(TooMany):
    code, title = "new_end_users_limited", "Daily limit of new end users reached"


class DeliveriesFull(TooMany):
    code, title = "deliveries_full", "Limit of stored deliveries reached"


class TooManyTests(TooMany):
    code, title = "too_many_tests", "Too many undelivered test events"


class TooManyActs(TooMany):
    code, title = "too_many_changes", "Too many changes of configuration"


class Unavailable(GatewayError):
    code, status, title, retryable = "unavailable", 503, "Unavailable", True

    def __init__(self, detail: str, *, retry_after: float = 2.0) -> None:
        super().__init__(detail, retry_after=retry_after)


class StoreUnavailable(Unavailable):
    code, title = "store_unavailable", "Storage unavailable"

    def __init__(
        self, detail: str, *, retry_after: float = 2.0, is_outage: bool = False, cause: str | None = None
    ) -> None:
        """``is_outage``: Redis did not reply, which its client has logged, once. ``cause``: for operators only."""
        super().__init__(detail, retry_after=retry_after)
        self.is_outage = is_outage
        self.cause = cause


class StoreFull(StoreUnavailable):
    code, title = "store_full", "Storage nearly full"

    def __init__(self, detail: str, *, retry_after: float = 10.0) -> None:
        super().__init__(detail, retry_after=retry_after)


class TenantStoreFull(StoreFull):
    code, title = "tenant_store_full", "Storage nearly full, and the tenant stores the largest part"

    def __init__(self, detail: str, *, retry_after: float = 60.0) -> None:
        super().__init__(detail, retry_after=retry_after)


class Draining(Unavailable):
    code, title = "draining", "Gateway is draining"


class ImageLimit(Unavailable):
    code, title = "image_limit", "Limit of an inspection reached"


class ClipLimit(Unavailable):
    code, title = "clip_limit", "Limit of a measurement reached"


class MediaUnavailable(Unavailable):
    code, title = "media_unavailable", "Video storage unavailable"


class UpstreamUnavailable(Unavailable):
    code, title = "upstream_unavailable", "fal is unavailable"
