"""Log context of a generation, and the log line of its transitions."""

from typing import Final

from service.domain.generation import Generation
from service.domain.status import Status
from service.observability import log, tracing

_log: Final = log.get(__name__)


def bind_generation(g: Generation) -> None:
    """Add the generation, its tenant and its trace to all further log lines of this task."""
    log.bind(generation_id=g.id, tenant=g.tenant_id, **tracing.log_fields(g.traceparent))


def log_transition(g: Generation, before: Status) -> None:
    """Log a change of status at INFO, any other update at DEBUG. A creation is in the access log."""
    moved = g.status is not before
    write = _log.info if moved else _log.debug
    write(
        "generation_transition" if moved else "generation_updated",
        generation_id=g.id,
        tenant=g.tenant_id,
        before=before,
        status=g.status,
        code=None if g.error is None else g.error.code,
        version=g.version,
        **tracing.log_fields(g.traceparent),
    )
