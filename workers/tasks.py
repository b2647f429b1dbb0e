"""The drains as Celery tasks. A message only says "look now"; what is to be done stands in Redis."""

from celery import shared_task

from service.domain.work_queue import WorkQueue
from service.tasks import task_name
from workers.runtime import run


@shared_task(name=task_name(WorkQueue.DISPATCH))  # type: ignore[untyped-decorator]
def dispatch() -> None:
    run(WorkQueue.DISPATCH)


@shared_task(name=task_name(WorkQueue.POLL))  # type: ignore[untyped-decorator]
def poll() -> None:
    run(WorkQueue.POLL)


@shared_task(name=task_name(WorkQueue.DELIVER))  # type: ignore[untyped-decorator]
def deliver() -> None:
    run(WorkQueue.DELIVER)


@shared_task(name=task_name(WorkQueue.SWEEP))  # type: ignore[untyped-decorator]
def sweep() -> None:
    run(WorkQueue.SWEEP)
