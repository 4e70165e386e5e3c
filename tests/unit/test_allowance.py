"""How often a caller may ask: counted on a clock that the test moves."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refused
from gateway.oauth.allowance import Allowance, source_name


class Seconds:
    """A clock in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


def taken(allowance: Allowance, name: str = "pantry", times: int = 100) -> int:
    """How many of so many requests are let through."""
    return sum(allowance.wait(name) == 0 for _ in range(times))


def test_a_burst_and_then_so_many_a_second(seconds: Seconds) -> None:
    allowance = Allowance(10, burst=5, clock=seconds)
    assert taken(allowance) == 5
    seconds.now += 0.3
    assert taken(allowance) == 3
    seconds.now += 1000
    assert taken(allowance) == 5


def test_without_a_stated_burst_a_seconds_worth_is_saved_up(seconds: Seconds) -> None:
    assert taken(Allowance(10, clock=seconds)) == 10
    assert taken(Allowance(0.1, clock=seconds)) == 1


def test_who_is_refused_is_told_when_to_come_again_and_then_let_through(seconds: Seconds) -> None:
    allowance = Allowance(0.25, burst=1, clock=seconds)
    allowance.take("pantry")
    with pytest.raises(Refused) as found:
        allowance.take("pantry")
    assert (found.value.status, found.value.headers) == (429, {"Retry-After": "4"})
    assert found.value.outcome()["issue"][0]["code"] == "throttled"
    assert "pantry" not in str(found.value)
    seconds.now += 4
    allowance.take("pantry")


def test_to_be_refused_costs_nothing(seconds: Seconds) -> None:
    allowance = Allowance(1, burst=1, clock=seconds)
    assert allowance.wait("pantry") == 0
    assert [allowance.wait("pantry") for _ in range(50)] == [pytest.approx(1.0)] * 50
    seconds.now += 1
    assert allowance.wait("pantry") == 0


def test_one_caller_does_not_use_up_what_is_anothers(seconds: Seconds) -> None:
    allowance = Allowance(10, burst=5, clock=seconds)
    assert taken(allowance, "pantry") == 5
    assert taken(allowance, "clinic") == 5


def test_so_many_at_once_and_no_more(seconds: Seconds) -> None:
    allowance = Allowance(10, at_once=2, clock=seconds)
    with allowance.in_flight("pantry"), allowance.in_flight("pantry"):
        with pytest.raises(Refused) as found, allowance.in_flight("pantry"):
            raise AssertionError("a third was let in")
        assert (found.value.status, found.value.headers) == (429, {"Retry-After": "1"})
        with allowance.in_flight("clinic"):
            pass
    with allowance.in_flight("pantry"):
        pass
    assert allowance._under_way == {}


def test_a_request_that_breaks_is_no_longer_under_way(seconds: Seconds) -> None:
    allowance = Allowance(10, at_once=1, clock=seconds)
    for _ in range(3):
        with pytest.raises(KeyError), allowance.in_flight("pantry"):
            raise KeyError
    assert allowance._under_way == {}


def test_without_a_limit_at_once_there_is_none(seconds: Seconds) -> None:
    allowance = Allowance(10, clock=seconds)
    with allowance.in_flight("pantry"), allowance.in_flight("pantry"), allowance.in_flight("pantry"):
        pass


def test_what_is_remembered_is_bounded_and_the_busiest_are_kept(seconds: Seconds) -> None:
    allowance = Allowance(1, burst=2, clock=seconds, most_names=100)
    for number in range(1000):
        allowance.wait("busy")
        allowance.wait(f"passing {number}")
    assert len(allowance._full_at) == 100
    assert allowance.wait("busy") > 0


def test_threads_together_get_no_more_than_there_is(seconds: Seconds) -> None:
    allowance = Allowance(1, burst=50, clock=seconds)
    ready = threading.Barrier(16)

    def ask(_number: int) -> int:
        ready.wait()
        return taken(allowance, times=50)

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(ask, range(16))) == 50


@given(
    steps=st.lists(st.floats(min_value=0, max_value=3), max_size=60),
    burst=st.integers(min_value=1, max_value=8),
    rate=st.floats(min_value=0.2, max_value=50),
)
def test_over_any_stretch_no_more_is_let_through_than_was_saved_and_given_back(
    steps: list[float], burst: int, rate: float
) -> None:
    seconds = Seconds()
    allowance = Allowance(rate, burst=burst, clock=seconds)
    through = 0
    for step in steps:
        seconds.now += step
        wait = allowance.wait("pantry")
        through += wait == 0
        if wait:
            assert wait <= 1 / rate + 1e-6, "never longer than until the next one is given back"
    assert through <= burst + rate * sum(steps) + 1e-6


@pytest.mark.parametrize(
    "wrong", [{"per_second": 0}, {"per_second": 1, "burst": 0}, {"per_second": 1, "at_once": 0}]
)
def test_an_allowance_of_nothing_is_a_mistake(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least something"):
        Allowance(**wrong)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("unix", "unix"),
        ("x" * 1000, "x" * 64),
    ],
)
def test_an_ipv6_network_is_one_caller(source: str, name: str) -> None:
    assert source_name(source) == name
