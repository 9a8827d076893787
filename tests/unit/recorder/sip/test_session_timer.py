"""Session timers of a UAS that never refreshes."""

from __future__ import annotations

import pytest

from recorder.sip.headers import Headers
from recorder.sip.message import Request
from recorder.sip.session_timer import (
    BYE_AHEAD_S_MAX,
    SESSION_INTERVAL_S_MIN,
    Terms,
    agree,
    asked_interval_s,
    bye_at,
    is_too_small,
)


def refresh(*headers: tuple[str, str]) -> Request:
    return Request("UPDATE", "sip:a", Headers(headers))


@pytest.mark.parametrize(
    ("value", "interval_s"),
    [
        ("1800", 1800),
        ("90 ;refresher=uas", 90),
        (" 120;x", 120),
        ("soon", None),
        ("-5", None),
        ("9" * 12, None),
    ],
)
def test_an_interval_is_read_or_ignored(value: str, interval_s: int | None) -> None:
    assert asked_interval_s(refresh(("Session-Expires", value))) == interval_s


def test_session_interval_s_min_is_enough_and_one_less_is_not() -> None:
    assert not is_too_small(refresh(("x", str(SESSION_INTERVAL_S_MIN))))
    assert is_too_small(refresh(("x", str(SESSION_INTERVAL_S_MIN - 1))))
    assert not is_too_small(refresh())


@pytest.mark.parametrize(
    ("headers", "running_s", "interval_s"),
    [
        ([("Supported", "timer"), ("x", "600")], None, 600),
        ([("Require", "timer"), ("x", "600;refresher=uas")], None, 600),
        ([("k", "100rel, Timer")], 600, 600),
        ([("k", "timer")], None, None),
        ([("x", "600")], 600, None),
        ([("k", "timer"), ("x", "10")], None, SESSION_INTERVAL_S_MIN),  # an overridden objection
    ],
)
def test_the_client_refreshes_or_nobody_does(
    headers: list[tuple[str, str]], running_s: int | None, interval_s: int | None
) -> None:
    terms = agree(refresh(*headers), running_s)
    assert terms.interval_s == interval_s
    if interval_s is None:
        assert terms == Terms(None)
    else:
        expected = (("Session-Expires", f"{interval_s};refresher=uac"), ("Require", "timer"))
        assert terms.headers == expected


def test_the_bye_comes_bye_ahead_s_max_or_a_third_of_the_interval_ahead() -> None:
    assert bye_at(100.0, 1800) == 1900.0 - BYE_AHEAD_S_MAX
    assert bye_at(100.0, 96) == 100.0 + 96 - BYE_AHEAD_S_MAX
    assert bye_at(100.0, 90) == 160.0
