from __future__ import annotations

from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from sqlora.backends.aws.polling import Polling
from sqlora.errors import AccountError, ServiceError


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def polling(clock: Clock) -> Polling:
    return Polling(first=1.0, most=3.0, patience=10.0, sleep=clock.sleep, clock=lambda: clock.now)


def after(looks: int, error: Exception | None = None) -> Callable[[], str | None]:
    """None, or the error, so often; then "there"."""
    left = iter(range(looks))

    def look() -> str | None:
        if next(left, None) is None:
            return "there"
        if error is not None:
            raise error
        return None

    return look


def test_it_looks_less_and_less_often() -> None:
    clock = Clock()
    assert polling(clock).until(after(5), "it") == "there"
    assert clock.slept == [1.0, 1.5, 2.25, 3.0, 3.0]


def test_trouble_is_waited_out() -> None:
    assert polling(Clock()).until(after(4, ServiceError("throttled")), "it") == "there"


def test_but_not_for_ever() -> None:
    clock = Clock()
    with pytest.raises(ServiceError, match="throttled"):
        polling(clock).until(after(1000, ServiceError("throttled")), "it")
    assert 10.0 < clock.now < 14.0


def test_patience_begins_anew_with_every_answer() -> None:
    clock, looks = Clock(), iter(range(40))

    def look() -> str | None:
        number = next(looks)
        if number % 4:
            raise ServiceError("throttled")
        return "there" if number == 36 else None

    assert polling(clock).until(look, "it") == "there"
    assert clock.now > 3 * 10.0


def test_expired_credentials_are_not_waited_out() -> None:
    error = ServiceError("expired")
    error.__cause__ = ClientError({"Error": {"Code": "ExpiredTokenException"}}, "Get")
    clock = Clock()
    with pytest.raises(ServiceError, match="expired"):
        polling(clock).until(after(1, error), "it")
    assert clock.slept == []


def test_final_errors_come_out_at_once() -> None:
    with pytest.raises(AccountError):
        polling(Clock()).until(after(1, AccountError("denied")), "it")


def test_what_takes_too_long_is_given_up() -> None:
    with pytest.raises(ServiceError, match="the creation is not over after 1 minutes"):
        polling(Clock()).until(after(1000), "the creation", longest=60.0)
