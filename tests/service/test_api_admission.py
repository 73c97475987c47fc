"""Places: bounded, refused early, given back once; and a guess when to come back."""

from __future__ import annotations

import pytest

from deepscreen.api.admission import Admission
from deepscreen.errors import Overloaded


@pytest.fixture
def admission() -> Admission:
    return Admission(max_places=2, max_concurrent=1)


def test_entry_is_refused_beyond_all_places(admission: Admission) -> None:
    with admission.place(), admission.place():
        assert admission.taken == 2
        with pytest.raises(Overloaded) as caught, admission.place():
            pytest.fail("there was no place")
        assert caught.value.retry_after_seconds >= 1
    assert admission.taken == 0
    with admission.place():
        pass


def test_place_is_given_back_after_an_error(admission: Admission) -> None:
    for _ in range(5):
        with pytest.raises(ValueError, match="broken"), admission.place():
            raise ValueError("broken")
    assert admission.taken == 0


def test_retry_after_grows_with_the_time_that_screenings_take(admission: Admission) -> None:
    for _ in range(50):
        admission.took(20.0)
    with admission.place(), admission.place(), pytest.raises(Overloaded) as caught, admission.place():
        pytest.fail("there was no place")
    assert caught.value.retry_after_seconds == 40


def test_full_queue_is_told(admission: Admission) -> None:
    admission.check_queue(9, most=10)
    with pytest.raises(Overloaded, match="10 screenings wait already") as caught:
        admission.check_queue(10, most=10)
    assert caught.value.retry_after_seconds == 20
