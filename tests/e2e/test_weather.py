"""A minute of bad weather: what was paid for is there or alarmed, and dispatch is at full width soon after."""

import secrets

from tests.support.chaos.weather import Plan, run


def test_a_minute_of_bad_weather_costs_a_minute() -> None:
    """Its output names the seed: ``... tests.support.chaos.weather --seconds 60 --jobs 60 --seed N`` repeats it."""
    report = run(Plan(secrets.randbelow(10**6), seconds=60, jobs=60))
    assert not report.faults, report.table()
