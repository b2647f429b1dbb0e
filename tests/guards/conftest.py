import pytest

from tests.support.manifests import Manifests, built_by


@pytest.fixture(params=["kustomize", "helm"])
def made(request: pytest.FixtureRequest) -> Manifests:
    """Return the manifests of each tool in turn: what the code needs, both give."""
    return built_by(request.param)
