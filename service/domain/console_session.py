"""A person's session of the console: who logged in, how, and for how long."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from service.domain.actor import ActorKind

#: A session ends after this time without a request of a person.
IDLE: Final = timedelta(hours=1)
#: A session ends this long after its login.
LONGEST: Final = timedelta(hours=12)
#: Sessions of one subject. A login beyond this number ends the oldest session.
MOST_SESSIONS: Final = 10
#: Validity of a login link.
LINK_LIFETIME: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Subject:
    """Who logged in. Each request of a session reads what the ids refer to again."""

    kind: ActorKind
    id: str
    """Id of the operator, of the API key or of the service; keyed hash of the admin token; name of the local user."""
    token_id: str | None = None
    """Id of the operator's token, which has to stay valid; None: another way to log in."""
    expires_at: datetime | None = None
    """End of the token of a service; None: another way to log in."""


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    subject: Subject
    created_at: datetime

    def has_ended(self, now: datetime) -> bool:
        return now >= self.created_at + LONGEST
