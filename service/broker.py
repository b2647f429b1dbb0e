"""Celery's transport where Redis is the broker: it acknowledges nothing, so that a full Redis ends no worker.

Messages are hints, and a lost one loses nothing. Redis refuses any transaction while it is full, and a worker's process
ends when its acknowledgement is refused.
"""

from typing import Any

from kombu.transport import redis


class _Unacknowledged:
    def basic_ack(self, *_: Any, **__: Any) -> None:
        """Do nothing: the queues are declared ``no_ack``, and nothing was noted when the message was taken."""


class _Channel(_Unacknowledged, redis.Channel):
    pass


class _SentinelChannel(_Unacknowledged, redis.SentinelChannel):
    pass


class Transport(redis.Transport):
    Channel = _Channel


class SentinelTransport(redis.SentinelTransport):
    Channel = _SentinelChannel
