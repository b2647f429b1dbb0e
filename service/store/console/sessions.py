"""Sessions of the console by the hash of their random id, and the message that the next page of a session shows."""

from datetime import datetime, timedelta
from typing import Final

from pydantic import TypeAdapter

from service.domain import ids
from service.domain.console_session import IDLE, LONGEST, MOST_SESSIONS, ConsoleSession
from service.store import keys
from service.store.console.expiring import set_expiring
from service.store.redis.client import Redis, Script
from service.store.times import milliseconds

_BEGIN: Final = Script("begin_console_session")
_SESSION: Final = TypeAdapter(ConsoleSession)
_MESSAGE_LIFETIME: Final = timedelta(minutes=1)


class ConsoleSessionStore:
    """Redis has no id of a session: a copy of Redis opens no session."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def begin(self, session_id: str, session: ConsoleSession, now: datetime) -> None:
        """Store a new session. The oldest ones of the same subject end if it has too many."""
        digest = keys.console_digest(session_id)
        await self._redis.run(
            _BEGIN,
            {
                "session": keys.console_session(digest),
                "sessions_of_subject": keys.console_sessions(session.subject.kind, session.subject.id),
            },
            {
                "digest": digest,
                "record": _SESSION.dump_json(session),
                "now_ms": ids.milliseconds(now),
                "idle_ms": milliseconds(IDLE),
                "longest_ms": milliseconds(LONGEST),
                "most": MOST_SESSIONS,
                "session_prefix": keys.console_session(""),
            },
        )

    async def resume(self, session_id: str, *, is_person: bool) -> tuple[ConsoleSession | None, str | None]:
        """Return a session and its message, which is deleted. A person's request postpones the idle expiry.

        None: the session is unknown or has ended.
        """
        name = keys.console_session(keys.console_digest(session_id))
        if not is_person:
            found = await self._redis.execute("GET", name)
            return _parsed(found), None
        found, message, _ = await self._redis.gather(
            (
                ("GET", name),
                ("GETDEL", f"{name}{keys.CONSOLE_MESSAGE}"),
                ("PEXPIRE", name, milliseconds(IDLE)),
            ),
            replicated=False,  # a lost write costs a message, or ends the session early
        )
        return _parsed(found), None if message is None else message.decode()

    async def end(self, session_id: str, session: ConsoleSession | None) -> None:
        """Delete a session."""
        digest = keys.console_digest(session_id)
        commands: list[tuple[str, ...]] = [("DEL", keys.console_session(digest))]
        if session is not None:
            commands.append(("ZREM", keys.console_sessions(session.subject.kind, session.subject.id), digest))
        await self._redis.gather(commands)

    async def leave_message(self, session_id: str, message: str) -> None:
        """Store the message for the next page of the session."""
        name = keys.console_session(keys.console_digest(session_id))
        await set_expiring(self._redis, f"{name}{keys.CONSOLE_MESSAGE}", message, _MESSAGE_LIFETIME, replicated=False)


def _parsed(found: bytes | None) -> ConsoleSession | None:
    return None if found is None else _SESSION.validate_json(found)
