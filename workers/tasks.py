"""The drains as Celery tasks. A message only says "look now"; what is to be done stands in Redis."""

from celery import shared_task

from service.domain.work_queue import Drain
from service.tasks import task_name
from workers.runtime import run


@shared_task(name=task_name(Drain.DISPATCH))  # type: ignore[untyped-decorator]
def dispatch() -> None:
    run(Drain.DISPATCH)


@shared_task(name=task_name(Drain.POLL))  # type: ignore[untyped-decorator]
def poll() -> None:
    run(Drain.POLL)


@shared_task(name=task_name(Drain.DELIVER))  # type: ignore[untyped-decorator]
def deliver() -> None:
    run(Drain.DELIVER)


@shared_task(name=task_name(Drain.SWEEP))  # type: ignore[untyped-decorator]
def sweep() -> None:
    run(Drain.SWEEP)
