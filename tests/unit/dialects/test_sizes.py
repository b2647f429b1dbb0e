"""A size of a dialect names the resolution and the aspect ratio of a model, or is refused with the sizes it has."""

import re

import pytest

from service.api.dialects import sizes
from service.domain.models import registry
from service.domain.models.forms import RequestForms
from service.domain.request_limits import RequestLimits
from service.domain.tenant import Limits
from service.errors import Invalid

FORMS = RequestForms(registry.build(enabled=["*"]), RequestLimits(resolutions=("480p", "720p", "1080p", "4k")))
EVERY = sorted(FORMS.registry.creatable)
OLD = next(name for name in EVERY if "/v1/" in name)


@pytest.mark.parametrize("name", EVERY)
def test_each_size_of_a_model_names_its_resolution_and_ratio(name: str) -> None:
    form = FORMS.of(FORMS.registry.enabled[name])
    found = sizes.sizes_of(form, Limits())

    assert {size: sizes.fields_of(size, form, Limits()) for size in found} == {
        size: {"resolution": resolution, "aspect_ratio": ratio} for size, (resolution, ratio) in found.items()
    }
    ratios = form.model.fields["aspect_ratio"].values if "aspect_ratio" in form.model.fields else ()
    assert {ratio for _, ratio in found.values()} == set(ratios) - {"auto"}
    assert {resolution for resolution, _ in found.values()} <= set(form.model.resolutions)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("1280x720", ("720p", "16:9")),
        (" 720 X 1280 ", ("720p", "9:16")),
        ("854x480", ("480p", "16:9")),
        ("864x496", ("480p", "16:9")),
        ("640x640", ("480p", "1:1")),
        ("960x960", ("720p", "1:1")),
        ("720x720", ("720p", "1:1")),
        ("1112x834", ("720p", "4:3")),
        ("1470x630", ("720p", "21:9")),
        ("1920*1080", ("1080p", "16:9")),
        ("2160x3840", ("4k", "9:16")),
    ],
)
def test_size_in_usual_pixels_is_accepted(size: str, expected: tuple[str, str]) -> None:
    found = sizes.fields_of(size, FORMS.default, Limits())
    assert (found["resolution"], found["aspect_ratio"]) == expected


@pytest.mark.parametrize("size", ["1792x1024", "1280x1280", "10x10", "99999x99999", "320x180"])
def test_size_that_the_model_lacks_is_refused_with_its_sizes(size: str) -> None:
    with pytest.raises(Invalid, match=re.escape("/size: must be a size of bytedance/seedance-2.0")) as caught:
        sizes.fields_of(size, FORMS.default, Limits(resolutions=("720p",)))
    assert "1280x720" in caught.value.detail
    assert "1920x1080" not in caught.value.detail


@pytest.mark.parametrize("size", ["", "720p", "1280", "1280x", "x720", "0x720", "12.5x3", "1280x720x3", "-1x720"])
def test_size_without_two_numbers_is_refused(size: str) -> None:
    with pytest.raises(Invalid, match="like 1280x720"):
        sizes.fields_of(size, FORMS.default, Limits())


def test_size_for_model_without_ratios_names_resolution() -> None:
    with pytest.raises(Invalid, match="send resolution instead"):
        sizes.fields_of("1280x720", FORMS.of(FORMS.registry.enabled[OLD]), Limits())


@pytest.mark.parametrize(("resolution", "ratio"), [("720p", "auto"), ("huge", "16:9")])
def test_unknown_resolution_or_ratio_has_no_size(resolution: str, ratio: str) -> None:
    assert sizes.size_of(resolution, ratio) is None
