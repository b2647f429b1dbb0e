"""The URL of fal's callback, and its path without the secret."""

from service.domain.callback import address, without_secret
from tests.support import factories


def test_callback_address_has_the_id_and_the_token() -> None:
    g = factories.generation(id="gen_1", callback_token="token-1")

    assert address("https://gateway.example", g) == "https://gateway.example/callbacks/fal/gen_1/token-1"


def test_callback_path_without_secret_ends_before_the_id() -> None:
    assert without_secret("/callbacks/fal/gen_1/token-1") == "/callbacks/fal"
    assert without_secret("/base/callbacks/fal/gen_1/token-1/callbacks/fal/x") == "/base/callbacks/fal"


def test_other_paths_stay_as_they_are() -> None:
    assert [without_secret(path) for path in ("/v1/generations/gen_1", "/callbacks/fal", "/callbacks/falling/1")] == [
        "/v1/generations/gen_1",
        "/callbacks/fal",
        "/callbacks/falling/1",
    ]
