"""The ownership check of generations: an unknown generation and one of another tenant get the same error."""

from service.domain.generation import Generation
from service.domain.tenant import Tenant
from service.errors import NotFound
from service.usecases.log_context import bind_generation


def generation_not_found() -> NotFound:
    return NotFound("There is no such generation.")


def require_owned(tenant: Tenant, g: Generation | None) -> Generation:
    """Return the generation and bind it to the log context.

    Raises:
        NotFound: there is none, or it is another tenant's.

    """
    if g is None or g.tenant_id != tenant.id:
        raise generation_not_found()
    bind_generation(g)
    return g
