"""The hash chain of the audit trail: every change of stored entries is found."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.chain import GENESIS, Break, Head, Link, Verified, chained
from service.domain.trail import ENTRY
from tests.support import factories

BEFORE = "the hash of the entry before it is another one"
RECORD = "its record does not have its hash"
SIZES = st.integers(min_value=1, max_value=12)


def chain(size: int, trimmed: int = 0) -> tuple[list[Link], Head]:
    """Return the entries that retention has left, and the head."""
    links, before = [], GENESIS
    for number in range(1, size + trimmed + 1):
        record = b'{"action":"act_%d"}' % number
        after = chained(before, number, record)
        links.append(Link(f"{number}-0", number, record, before, after))
        before = after
    return links[trimmed:], Head(size + trimmed, before, trimmed)


def breaks(links: list[Link], head: Head) -> list[Break]:
    found: list[Break | None] = []
    at = Verified()
    if links:
        at, fault = at.begun_at(links[0], range(head.trimmed, head.trimmed + 1))
        found.append(fault)
    for link in links:
        at, fault = at.after(link)
        found.append(fault)
    found.append(at.fault_at_end(head))
    return [each for each in found if each is not None]


@given(size=SIZES, trimmed=st.integers(min_value=0, max_value=5))
def test_chain_intact_has_no_break(size: int, trimmed: int) -> None:
    assert breaks(*chain(size, trimmed)) == []


@given(data=st.data(), size=SIZES, trimmed=st.integers(min_value=0, max_value=5))
def test_chain_change_of_any_field_is_found(data: st.DataObject, size: int, trimmed: int) -> None:
    links, head = chain(size, trimmed)
    place = data.draw(st.integers(0, size - 1))
    field = data.draw(st.sampled_from(["number", "record", "before", "hash"]))
    other: Any = {"number": -1, "record": b"{}"}.get(field, "f" * 64)
    links[place] = replace(links[place], **{field: other})
    if field == "before" and place == 0 and trimmed:  # the hash covers it all the same
        assert breaks(links, head)[0].number == links[0].number
    assert breaks(links, head)


@given(data=st.data(), size=SIZES, trimmed=st.integers(min_value=0, max_value=5))
def test_chain_removal_of_any_entries_is_found(data: st.DataObject, size: int, trimmed: int) -> None:
    links, head = chain(size, trimmed)
    gone = data.draw(st.sets(st.integers(0, size - 1), min_size=1))
    assert breaks([link for place, link in enumerate(links) if place not in gone], head)


@given(data=st.data(), size=st.integers(min_value=2, max_value=12))
def test_chain_another_order_is_found(data: st.DataObject, size: int) -> None:
    links, head = chain(size)
    other = data.draw(st.permutations(links).filter(lambda order: order != links))
    assert breaks(other, head)


@given(data=st.data(), size=SIZES)
def test_chain_insertion_is_found(data: st.DataObject, size: int) -> None:
    links, head = chain(size)
    place = data.draw(st.integers(0, size))
    before = links[place - 1].hash if place else GENESIS
    number = data.draw(st.sampled_from([place, place + 1]))
    links.insert(place, Link("0-1", number, b"{}", before, chained(before, number, b"{}")))
    assert breaks(links, head) or number == size + 1


def test_chain_entry_after_the_head_is_new() -> None:
    """An entry that was appended after the head was read is no break."""
    links, _ = chain(3)
    assert breaks(links, chain(2)[1]) == []


def test_chain_hash_has_a_fixed_value() -> None:
    """Computed with openssl. A change would break every stored chain."""
    assert chained(GENESIS, 1, b"{}") == "857ee6299d26533d1f5f46c02209ae8bc34dc4898a8a9545493946b4ea59d6f3"


LINKS, HEAD = chain(4)
OTHER = "f" * 64


@pytest.mark.parametrize(
    ("links", "head", "found"),
    [
        ([*LINKS[:1], *LINKS[2:]], HEAD, Break(2, "entry 2 is missing: 3 follows")),
        ([*LINKS[:1], *LINKS[3:]], HEAD, Break(2, "entry 2 is missing: 4 follows")),
        ([*LINKS[:3], LINKS[1]], Head(2, LINKS[1].hash), Break(2, "entry 4 is missing: 2 follows")),
        ([*LINKS[:2], replace(LINKS[2], before=OTHER)], Head(3, LINKS[2].hash), Break(3, BEFORE)),
        ([*LINKS[:2], replace(LINKS[2], record=b"{}")], Head(3, LINKS[2].hash), Break(3, RECORD)),
        (LINKS[:3], HEAD, Break(4, "it is missing; the last entry was 4")),
        ([], HEAD, Break(1, "it is missing; the last entry was 4")),
        (LINKS, replace(HEAD, hash=OTHER), Break(4, "the last entry has another hash than the head of the chain")),
        (LINKS[1:], HEAD, Break(2, "the entries before it are missing; retention has removed 0")),
        (LINKS[2:], replace(HEAD, trimmed=1), Break(3, "the entries before it are missing; retention has removed 1")),
    ],
)
def test_chain_break_has_a_number_and_a_fault(links: list[Link], head: Head, found: Break) -> None:
    assert breaks(links, head)[0] == found


def test_chain_verification_continues_from_the_last_entry() -> None:
    at = Verified()
    for link in LINKS:
        at, _ = at.after(link)
        assert at == Verified(link.position, link.number, link.hash)
    assert at.begun_at(LINKS[2], range(2, 3)) == (Verified("", 2, LINKS[1].hash), None)
    assert at.begun_at(LINKS[0], range(1)) == (Verified("", 0, GENESIS), None)


def test_chain_before_the_first_entry_is_genesis() -> None:
    first = replace(LINKS[0], before=OTHER, hash=chained(OTHER, 1, LINKS[0].record))
    assert breaks([first], Head(1, first.hash)) == [Break(1, BEFORE)]


def test_link_has_its_entry() -> None:
    entry = factories.trail_entry(changes={"name": ("a", "b")})
    assert replace(LINKS[0], record=ENTRY.dump_json(entry)).load() == entry


def test_link_has_its_time() -> None:
    assert replace(LINKS[0], position="1700000000123-7").recorded_ms == 1_700_000_000_123
