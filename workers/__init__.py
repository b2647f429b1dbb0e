"""The Celery processes: ``celery -A workers worker`` and ``celery -A workers beat``."""

from service import gc_tuning

gc_tuning.collect_rarely()  # before anything else is imported

from workers.celery import app  # noqa: E402

__all__ = ["app"]
