"""Celery's transport for a Redis broker, without acknowledgements, so that a full Redis does not end a worker process.

Messages are hints, so that losing one loses no work. A full Redis refuses every transaction, and a worker process ends
when its acknowledgement is refused.
"""

from typing import Any

from kombu.transport import redis


class _Unacknowledged:
    def basic_ack(self, *_: Any, **__: Any) -> None:
        """Do nothing: the queues are declared ``no_ack``, so that no record of a received message exists."""


class _Channel(_Unacknowledged, redis.Channel):
    pass


class _SentinelChannel(_Unacknowledged, redis.SentinelChannel):
    pass


class Transport(redis.Transport):
    Channel = _Channel


class SocketTransport(Transport):
    """Of a Redis on a Unix socket. Its channel reads the URL itself: kombu would read the path as the database."""

    can_parse_url = True


class SentinelTransport(redis.SentinelTransport):
    Channel = _SentinelChannel
