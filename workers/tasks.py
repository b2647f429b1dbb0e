"""Celery tasks, one for each work queue. A message is a hint to claim: what is due is in Redis."""

from celery import shared_task

from service.domain.work_queue import WorkQueue
from service.tasks import task_name
from workers.worker_process import get_process


@shared_task(name=task_name(WorkQueue.DISPATCH))  # type: ignore[untyped-decorator]
def dispatch() -> None:
    get_process().run(WorkQueue.DISPATCH)


@shared_task(name=task_name(WorkQueue.POLL))  # type: ignore[untyped-decorator]
def poll() -> None:
    get_process().run(WorkQueue.POLL)


@shared_task(name=task_name(WorkQueue.DELIVER))  # type: ignore[untyped-decorator]
def deliver() -> None:
    get_process().run(WorkQueue.DELIVER)


@shared_task(name=task_name(WorkQueue.SWEEP))  # type: ignore[untyped-decorator]
def sweep() -> None:
    get_process().run(WorkQueue.SWEEP)
