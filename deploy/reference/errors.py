"""The page of all error codes: of a refused request, and of a generation without a video."""

from typing import Final, get_args

from reference import markdown
from service import errors
from service.domain.failure import CALLERS_FAULTS, ErrorCode
from service.errors import GatewayError

_INTRODUCTION: Final = """\
# Error codes

## Of a request

A refused request is answered with `application/problem+json` (RFC 9457). `code` is stable; `title` and `detail` are for
people and may change. A request with `retryable: true` may be sent again unchanged, after the seconds of `Retry-After`
where the header is present. All other requests are refused again until the request, a limit or the state has changed.
`request_id` identifies the request in the logs. `errors` has one entry for each wrong field, with a JSON pointer."""
_GENERATIONS: Final = """\
## Of a generation

A generation that ends without a video has the status `failed` and one of these codes in `error.code`. `error.retryable`
says whether the same request may succeed when it is sent again. *Request* means that the request itself could not
become a video; these ends do not count against the completion objective."""
_MEANINGS: Final[dict[str, str]] = {
    "content_policy": "fal's content policy refused the prompt, an image or the video.",
    "invalid_input": "fal, or the preflight, refused a field or an image of the request.",
    "image_unreachable": "An image could not be fetched from its URL, or fal could not load the fetched file.",
    "upstream_rejected": "fal refused the submit, or ended the job with an error, for a reason not in this list.",
    "upstream_timeout": "fal did not finish before the deadline, also after a final check.",
    "upstream_unavailable": "fal refused this generation repeatedly while it accepted others, or could not finish it.",
    "submission_unconfirmed": "It is unknown whether fal accepted the submit; the deadline passed or an operator "
    "decided that fal did not.",
    "expired": "It waited in the queue longer than `expires_in` allows.",
    "internal": "A fault of the gateway.",
}


def page() -> str:
    problems = [
        (str(error.status), f"`{error.code}`", "yes" if error.retryable else "no", error.title)
        for error in _request_errors()
    ]
    ends = [
        (f"`{code}`", "request" if code in CALLERS_FAULTS else "service", _MEANINGS[code])
        for code in get_args(ErrorCode)
    ]
    return markdown.page(
        _INTRODUCTION,
        markdown.table(("Status", "`code`", "Retryable", "Title"), problems),
        _GENERATIONS,
        markdown.table(("`error.code`", "Cause", "Meaning"), ends),
    )


def _request_errors() -> list[type[GatewayError]]:
    """Return one class for each code, sorted by HTTP status."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GatewayError)]
    by_code = {kind.code: kind for kind in kinds}  # a base class shares its code with one of its subclasses
    return sorted(by_code.values(), key=lambda kind: kind.status)


def meanings() -> set[str]:
    """Return the codes of a generation that the page explains; a test compares them with ``ErrorCode``."""
    return set(_MEANINGS)
