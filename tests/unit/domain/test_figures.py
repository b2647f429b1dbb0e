"""Figures of usage: each grouping adds up to the total, and the most expensive group is first."""

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from service.domain.figures import NOTHING, Booked, Figures, by_code, by_model, total

#: Two models and a deleted one; three ends, a refusal, and costs of a failure.
DAY = Booked(
    created=9,
    spent=5_000,
    outcomes={"succeeded": 3, "failed:content_policy": 2, "failed:expired": 1, "canceled": 1},
    refusals={"queue_full": 4, "expired": 1},
    models={
        "a/cheap": Figures(created=6, succeeded=2, failed=3, canceled=1, spent=1_000, held=30),
        "a/fine": Figures(created=3, succeeded=1, spent=4_500, held=7),
        "": Figures(spent=-500),
    },
    costs={"content_policy": 600, "internal": 50},
)
EMPTY = Booked(created=0, spent=0, outcomes={}, refusals={}, models={}, costs={})

counts = st.integers(0, 3)
money = st.integers(-1_000, 1_000)
codes = st.sampled_from(["expired", "internal", "queue_full"])
figures = st.builds(Figures, *(money for _ in fields(Figures)))
days = st.lists(
    st.builds(
        Booked,
        created=counts,
        spent=money,
        outcomes=st.dictionaries(st.sampled_from(["succeeded", "canceled"]) | codes.map("failed:{}".format), counts),
        refusals=st.dictionaries(codes, counts),
        models=st.dictionaries(st.sampled_from(["", "a/b", "c/d"]), figures),
        costs=st.dictionaries(codes, money),
    ),
    max_size=3,
)


def test_total_has_each_figure_of_each_day() -> None:
    day = Figures(created=9, succeeded=3, failed=3, canceled=1, refused=5, spent=5_000, held=37)

    assert total([]) == total([EMPTY]) == NOTHING
    assert total([DAY]) == day
    assert total([DAY, EMPTY, DAY]) == day + day


def test_usage_by_model_has_refusals_without_a_model() -> None:
    """A refused create has no model. Neither has a correction of a day whose generations are deleted."""
    assert list(by_model([DAY]).items()) == [
        ("a/fine", Figures(created=3, succeeded=1, spent=4_500, held=7)),
        ("a/cheap", Figures(created=6, succeeded=2, failed=3, canceled=1, spent=1_000, held=30)),
        (None, Figures(refused=5, spent=-500)),
    ]


def test_usage_by_code_has_failures_refusals_and_costs() -> None:
    """A code can have all three: ``expired`` ended one generation and refused one create."""
    assert list(by_code([DAY]).items()) == [
        (None, Figures(created=6, succeeded=3, canceled=1, spent=4_350, held=37)),
        ("content_policy", Figures(created=2, failed=2, spent=600)),
        ("internal", Figures(spent=50)),
        ("expired", Figures(created=1, failed=1, refused=1)),
        ("queue_full", Figures(refused=4)),
    ]


def test_usage_of_two_days_is_added_in_each_group() -> None:
    for grouped in (by_model, by_code):
        once = grouped([DAY])
        assert grouped([DAY, DAY]) == {name: figures + figures for name, figures in once.items()}


def test_usage_without_anything_has_no_group() -> None:
    for grouped in (by_model, by_code):
        assert grouped([]) == grouped([EMPTY]) == {}


def test_usage_groups_are_ordered_by_spending_then_by_counts() -> None:
    groups = {
        "d": Figures(refused=2),
        "b": Figures(created=2),
        "f": Figures(failed=1),
        "a": Figures(spent=1),
        "e": Figures(failed=1),
        "c": Figures(created=1, refused=9),
        "g": Figures(spent=-1, created=9),
    }
    day = Booked(created=0, spent=0, outcomes={}, refusals={}, models=groups, costs={})

    assert [name for name in by_model([day]) if name] == ["a", "b", "c", "d", "e", "f", "g"]


def test_usage_without_a_name_is_before_its_equals() -> None:
    models = {"01/a": Figures(created=1), "z/a": Figures(created=1)}
    day = Booked(created=3, spent=0, outcomes={}, refusals={}, models=models, costs={})

    assert list(by_model([day])) == [None, "01/a", "z/a"]


@given(days)
def test_usage_adds_up_to_the_total_in_each_grouping(days: list[Booked]) -> None:
    for groups in (by_model(days), by_code(days)):
        assert sum(groups.values(), NOTHING) == total(days)
        assert not any(group.is_empty for group in groups.values())
        spending = [group.spent for group in groups.values()]
        assert spending == sorted(spending, reverse=True)


@given(figures, figures)
def test_figures_are_added_and_subtracted_by_field(first: Figures, second: Figures) -> None:
    assert first + second - second == first
    assert [getattr(first + second, each.name) for each in fields(Figures)] == [
        getattr(first, each.name) + getattr(second, each.name) for each in fields(Figures)
    ]
