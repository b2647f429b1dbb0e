"""Redis commands by their effect on keys: which ones write, and which writes a full Redis refuses."""

from typing import Final

#: Commands that write no key. Every other command counts as a write.
READS: Final = frozenset(
    (
        *("ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DBSIZE", "INFO", "LATENCY", "MEMORY", "OBJECT", "PING"),
        *("PUBLISH", "ROLE", "SCAN", "SCRIPT", "SLOWLOG", "TIME", "WAIT"),
        *("EXISTS", "TTL", "PTTL", "TYPE", "KEYS", "GET", "MGET", "STRLEN"),
        *("HEXISTS", "HGET", "HGETALL", "HKEYS", "HLEN", "HMGET", "HSCAN"),
        *("LINDEX", "LLEN", "LRANGE", "SCARD", "SISMEMBER", "SMEMBERS", "SMISMEMBER"),
        *("SRANDMEMBER", "SSCAN"),
        *("XINFO", "XLEN", "XRANGE", "XREVRANGE"),
        *("ZCARD", "ZCOUNT", "ZLEXCOUNT", "ZMSCORE", "ZRANGE", "ZRANGEBYLEX", "ZRANGEBYSCORE", "ZRANK", "ZREVRANGE"),
        *("ZRANDMEMBER", "ZREVRANGEBYLEX", "ZREVRANGEBYSCORE", "ZREVRANK", "ZSCAN", "ZSCORE", "ZUNION"),
    )
)
#: Writes of one key that a full Redis refuses, unless another write of the same script comes first.
GROWS: Final = frozenset(
    (
        *("SET", "SETEX", "PSETEX", "SETNX", "APPEND", "INCR", "INCRBY", "DECR", "DECRBY"),
        *("HSET", "HSETNX", "HINCRBY", "LPUSH", "RPUSH", "SADD", "XADD", "ZADD", "ZINCRBY"),
    )
)


def name_of(command: str | bytes | float) -> str:
    """The name of a command in capitals."""
    return (command.decode() if isinstance(command, bytes) else str(command)).upper()
