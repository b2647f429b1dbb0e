"""Images of a request as a value for ``image_url``.

A file becomes a data URI. The create uploads it after all checks, by the use case of ``POST /v1/uploads``. So a refused
request uploads nothing, and a repeated request has the same fingerprint although its image would have another URL.
"""

import binascii
from typing import Final

from service.api.dialects.models import makes_videos_of_text, takes_images, usable_models
from service.domain.models.forms import RequestForm, RequestForms
from service.domain.tenant import Limits
from service.errors import FieldError, Invalid

#: The bytes decide the format, so any type does.
_HEAD: Final = b"data:application/octet-stream;base64,"
#: A multiple of 3, so that only the last piece has padding.
_PIECE: Final = 48 * 1024


def data_uri(content: bytes | bytearray | memoryview) -> str:
    """Return the bytes of a file as a data URI. It is made in pieces, so that no second copy of it is in memory."""
    uri, view = bytearray(_HEAD), memoryview(content)
    for start in range(0, len(view), _PIECE):
        uri += binascii.b2a_base64(view[start : start + _PIECE], newline=False)
    return uri.decode("ascii")


def base64_uri(data: str) -> str:
    """Return base64, as JSON has the bytes of a file, as a data URI. The create refuses what is no base64."""
    return _HEAD.decode() + data


def check_first_image(form: RequestForm, forms: RequestForms, limits: Limits, *, given: bool, pointer: str) -> None:
    """Check whether the model takes an image, or needs one. ``given``: whether the request has one.

    Raises Invalid at ``pointer``; its text names the models that would do.
    """
    field = form.model.fields.get("image_url")
    if given and not takes_images(form.model):
        others = usable_models(forms, limits, takes_images)
        raise _wrong(pointer, f"{form.model.id} takes no image; models that take one: {others}")
    if not given and field is not None and field.required:
        others = usable_models(forms, limits, makes_videos_of_text)
        raise _wrong(pointer, f"{form.model.id} needs an image; models that need none: {others}", "missing")


def _wrong(pointer: str, text: str, kind: str = "extra_forbidden") -> Invalid:
    return Invalid(FieldError(pointer, text, kind))
