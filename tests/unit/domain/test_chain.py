"""The hash chain of the audit trail: every change of stored entries is found."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.domain.chain import GENESIS, Break, Head, Link, Verified, chained

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
