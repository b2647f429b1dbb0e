"""The body of a submit."""

from service.usecases.lifecycle.dispatch import arguments
from tests.support import factories


def test_submit_body_has_the_pseudonym_of_the_end_user() -> None:
    g = factories.generation(end_user_id="customer-7", end_user="eu_0123")

    assert arguments(g)["end_user_id"] == "eu_0123"
    assert "customer-7" not in str(arguments(g))
