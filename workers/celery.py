"""The Celery app of the workers and of beat: the shared configuration, the tasks, beat's schedule, signal handlers."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from celery.exceptions import SecurityWarning
from celery.signals import (
    beat_init,
    celeryd_init,
    setup_logging,
    worker_init,
    worker_shutdown,
)

from service import process_memory
from service.config.settings import Settings
from service.observability import health_server, log
from service.observability.start import log_start
from service.tasks import beat_schedule, celery_app
from workers import broker_log

settings = Settings()
app = celery_app(settings)
app.conf.update(
    imports=["workers.tasks"],
    beat_schedule=beat_schedule(),
    beat_scheduler="workers.beat:Scheduler",  # the schedule is code: no file stores it
    beat_max_loop_interval=1,
    worker_pool="threads",
    worker_concurrency=8,
    worker_disable_rate_limits=True,
    # Two warnings about each lost connection. Both settings have no effect on tasks without acknowledgements.
    worker_cancel_long_running_tasks_on_connection_loss=True,
    worker_enable_prefetch_count_reduction=False,
)


@celeryd_init.connect  # type: ignore[untyped-decorator]  # Celery logs warnings before it sends ``setup_logging``
@setup_logging.connect  # type: ignore[untyped-decorator]
def _configure_logging(**_: Any) -> None:
    log.configure(settings.log_level, secrets=settings.secrets(), log_format=settings.log_format)
    log.catch_uncaught()
    process_memory.protect()
    _announce()


@cache
def _announce() -> None:
    """Write the process's first line once: both signals configure logging."""
    broker_log.install()
    log_start(settings)
    warnings.filterwarnings("ignore", category=SecurityWarning)  # a paragraph, in place of the next line
    if os.geteuid() == 0:
        log.get(__name__).warning("running_as_root", remedy="Run it as a user without privileges.")


@contextmanager
def _ending_the_process(event: str) -> Iterator[None]:
    """End the process after any error: Celery would catch it, and run on without what was not opened."""
    try:
        yield
    except OSError as error:  # a port that is taken: its text says all
        log.get(__name__).error(event, error=error.strerror or str(error))
        raise SystemExit(error.strerror or str(error)) from None
    except Exception as error:
        log.get(__name__).exception(event)
        raise SystemExit(str(error)) from error


@worker_init.connect  # type: ignore[untyped-decorator]
def _open(**_: Any) -> None:
    from workers import worker_process  # noqa: PLC0415  (half of the imports of a worker: beat does not need them)

    with _ending_the_process("worker_start_failed"):
        worker_process.open_process(settings, lambda: app.amqp.queues.consume_from)


@beat_init.connect  # type: ignore[untyped-decorator]
def _open_beat(sender: Any, **_: Any) -> None:
    from workers.beat import liveness  # noqa: PLC0415  (a worker does not need it)

    with _ending_the_process("beat_start_failed"):
        if settings.metrics_port:
            health_server.serve(liveness, host=settings.metrics_host, port=settings.metrics_port)
        sender.scheduler.store.refuse_old()


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def _close(**_: Any) -> None:
    from workers import worker_process  # noqa: PLC0415

    worker_process.close_process()
