"""Celery tasks, one for each work queue. A message is a hint to claim: what is due is in Redis."""

from celery import shared_task

from service.domain.work_queue import WorkQueue
from service.tasks import task_name


def _run(work_queue: WorkQueue) -> None:
    from workers.worker_process import get_process  # noqa: PLC0415  (beat imports the tasks, and needs no runtime)

    get_process().run(work_queue)


@shared_task(name=task_name(WorkQueue.DISPATCH))  # type: ignore[untyped-decorator]
def dispatch() -> None:
    _run(WorkQueue.DISPATCH)


@shared_task(name=task_name(WorkQueue.POLL))  # type: ignore[untyped-decorator]
def poll() -> None:
    _run(WorkQueue.POLL)


@shared_task(name=task_name(WorkQueue.DELIVER))  # type: ignore[untyped-decorator]
def deliver() -> None:
    _run(WorkQueue.DELIVER)


@shared_task(name=task_name(WorkQueue.SWEEP))  # type: ignore[untyped-decorator]
def sweep() -> None:
    _run(WorkQueue.SWEEP)
