"""Celery's lines about a lost broker, as one line for each outage. Celery writes one for each attempt to connect."""

import logging
from typing import Any

from celery.worker.consumer.consumer import CONNECTION_ERROR, CONNECTION_RETRY

from service.observability.outages import OutageLog

_CONSUMER = "celery.worker.consumer.consumer"
_CONNECTION = "celery.worker.consumer.connection"


class _BrokerFilter(logging.Filter):
    def __init__(self) -> None:
        super().__init__()
        self._outage = OutageLog("broker")

    def filter(self, record: logging.LogRecord) -> bool:
        arguments: tuple[Any, ...] = record.args if isinstance(record.args, tuple) else ()
        if record.msg == CONNECTION_ERROR or CONNECTION_RETRY in arguments:  # the error is the second argument of both
            self._outage.failed(arguments[1])
        elif record.name == _CONNECTION and self._outage.is_open:  # connected
            self._outage.succeeded()
        else:
            if arguments:
                record.args = tuple(map(_without_empty_login, arguments))
            return True
        return False


def _without_empty_login(argument: Any) -> Any:
    """Remove the masked login that kombu writes into a URL without a login."""
    return argument.replace("://:**@", "://") if isinstance(argument, str) else argument


def install() -> None:
    """Replace Celery's lines about the broker in this process."""
    broker = _BrokerFilter()
    for name in (_CONSUMER, _CONNECTION):
        logging.getLogger(name).addFilter(broker)
