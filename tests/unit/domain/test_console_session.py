"""Sessions of the console: their end."""

from datetime import timedelta

import pytest

from service.domain.actor import ActorKind
from service.domain.console_session import LONGEST, ConsoleSession, Subject
from tests.support.factories import NOW


@pytest.mark.parametrize(
    ("age", "ended"), [(timedelta(0), False), (LONGEST - timedelta(microseconds=1), False), (LONGEST, True)]
)
def test_session_ends_after_the_longest_time(age: timedelta, ended: bool) -> None:
    assert ConsoleSession(Subject(ActorKind.OPERATOR, "opr_1"), NOW).has_ended(NOW + age) is ended
