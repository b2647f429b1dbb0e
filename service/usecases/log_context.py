"""What the lines of a task are about, and the one line of every move."""

from typing import Final

from service.domain.generation import Generation
from service.domain.status import Status
from service.observability import log, tracing

_log: Final = log.get(__name__)


def bind_generation(g: Generation) -> None:
    """Every line of this task from here on names this generation, its tenant and its trace."""
    log.bind(generation_id=g.id, tenant=g.tenant_id, **tracing.fields(g.traceparent))


def log_transition(g: Generation, before: Status) -> None:
    """What changes no status is a matter for who debugs. A creation is told by the line of its call."""
    tell = _log.info if g.status is not before else _log.debug
    tell(
        "generation moved" if g.status is not before else "generation noted",
        generation_id=g.id,
        tenant=g.tenant_id,
        before=before,
        status=g.status,
        code=None if g.error is None else g.error.code,
        version=g.version,
        **tracing.fields(g.traceparent),
    )
