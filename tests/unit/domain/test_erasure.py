"""Names of erasure jobs."""

import pytest

from service.domain.erasure import job_name, of_job


def test_erasure_job_name_round_trip_keeps_both_ids() -> None:
    assert job_name("ten_1", "eu_2") == "erasure:ten_1:eu_2"
    assert of_job("erasure:ten_1:eu_2") == ("ten_1", "eu_2")


@pytest.mark.parametrize("name", ["", "erasure", "erasure:ten_1", "erasure:a:b:c", "usage_report:a", "x:ten_1:eu_2"])
def test_erasure_other_job_names_are_none(name: str) -> None:
    assert of_job(name) is None
