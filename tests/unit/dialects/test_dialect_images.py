"""A file of a dialect becomes a data URI; a model that needs an image, or takes none, is refused with other models."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.dialects.images import base64_uri, check_first_image, data_uri
from service.api.dialects.models import UnknownModel, form_of
from service.domain.data_uri import decoded, has_base64, is_data_uri
from service.domain.models import registry
from service.domain.models.forms import RequestForms
from service.domain.request_limits import RequestLimits
from service.domain.tenant import Limits
from service.errors import Invalid

IMAGE = registry.SEED
TEXT = IMAGE.replace("image-to", "text-to")
FORMS = RequestForms(registry.build(enabled=[IMAGE, TEXT]), RequestLimits())


@given(st.binary(max_size=200), st.integers(0, 3))
def test_file_as_data_uri_has_the_same_bytes(content: bytes, pieces: int) -> None:
    whole = content + bytes(48 * 1024 * pieces)
    uri = data_uri(whole)
    assert is_data_uri(uri)
    assert has_base64(uri)
    assert b"".join(decoded(uri)) == whole


def test_base64_of_json_is_a_data_uri() -> None:
    assert b"".join(decoded(base64_uri("aGVsbG8="))) == b"hello"


@pytest.mark.parametrize(
    ("name", "image", "text"),
    [
        (IMAGE, False, f"{IMAGE} needs an image; models that need none: {TEXT}"),
        (TEXT, True, f"{TEXT} takes no image; models that take one: {IMAGE}"),
    ],
)
def test_image_that_does_not_fit_model_names_others(name: str, image: bool, text: str) -> None:
    form = form_of(name, FORMS, Limits())
    with pytest.raises(Invalid, match=rf"^/input_reference: {text}$"):
        check_first_image(form, FORMS, Limits(), given=image, pointer="/input_reference")
    check_first_image(form, FORMS, Limits(), given=not image, pointer="/input_reference")


def test_image_fault_names_only_models_of_the_tenant() -> None:
    limits = Limits(models=(IMAGE,))
    with pytest.raises(Invalid, match=r"models that need none: none$"):
        check_first_image(FORMS.default, FORMS, limits, given=False, pointer="/image")


def test_unknown_model_names_those_of_the_tenant() -> None:
    assert form_of(None, FORMS, Limits()) is FORMS.default
    assert form_of(f"fal-ai/{TEXT}", FORMS, Limits()).model.id == TEXT
    with pytest.raises(UnknownModel, match=f"you may use: {TEXT}"):
        form_of("sora-2", FORMS, Limits(models=(TEXT,)))
