"""What an actor may do, and the refusal of the rest."""

import pytest

from service.domain.actor import Actor, ActorKind
from service.domain.operator import Role
from service.errors import Forbidden

ORDER = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)


@pytest.mark.parametrize("has", ORDER)
@pytest.mark.parametrize("needed", ORDER)
def test_role_includes_the_ones_before_it(has: Role, needed: Role) -> None:
    assert has.includes(needed) == (ORDER.index(has) >= ORDER.index(needed))


def actor(kind: ActorKind = ActorKind.OPERATOR, role: Role | None = Role.VIEWER, name: str | None = "opr_1") -> Actor:
    return Actor(kind=kind, id=name, name="Ada", role=role)


@pytest.mark.parametrize("role", [None, *ORDER])
@pytest.mark.parametrize("needed", ORDER)
def test_actor_needs_the_role(role: Role | None, needed: Role) -> None:
    if role is not None and ORDER.index(role) >= ORDER.index(needed):
        actor(role=role).require(needed)
        return
    with pytest.raises(Forbidden) as raised:
        actor(role=role).require(needed)
    has = "no role" if role is None else f"the role '{role.value}'"
    assert raised.value.detail == f"This needs the role '{needed.value}'; Ada has {has}."


@pytest.mark.parametrize(
    ("who", "own"),
    [
        (actor(), "opr_2"),
        (actor(), None),
        (actor(name=None), None),
        (actor(ActorKind.API_KEY, None), "opr_1"),
        (actor(ActorKind.SERVICE, None), "opr_1"),
        (actor(ActorKind.LOCAL), "opr_1"),
        (actor(ActorKind.BREAK_GLASS), "opr_1"),
    ],
)
def test_actor_acts_on_itself_only_as_this_operator(who: Actor, own: str | None) -> None:
    actor().require(Role.ADMIN, unless_own="opr_1")
    with pytest.raises(Forbidden):
        who.require(Role.ADMIN, unless_own=own)
