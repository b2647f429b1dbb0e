"""A minute of random faults: every billed job has succeeded or is alarmed, and dispatch is at full width soon after."""

import secrets

from tests.support.chaos.run import Plan, run


def test_chaos_minute_of_faults_costs_a_minute() -> None:
    """The output contains the seed: ``... tests.support.chaos.run --seconds 60 --jobs 60 --seed N`` repeats it."""
    report = run(Plan(secrets.randbelow(10**6), seconds=60, jobs=60))
    assert not report.failures, report.table()
