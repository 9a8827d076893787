"""What exchanges call a call is kept as somebody would look for it, and never a telephone number."""

from __future__ import annotations

from recorder.srs.call_group import EXCHANGE_IDS_MAX, exchange_ids


def test_the_ids_are_kept_to_the_letter_and_once() -> None:
    named = ("session:hVpd7YQgRW2nD22h7q60JQ==", "group:7+OTCyoxTmqmqyA/1weDAg==", "tracking:urn:uuid:1-2-3")
    assert exchange_ids((*named, "group:hVpd7YQgRW2nD22h7q60JQ==")) == (
        "hVpd7YQgRW2nD22h7q60JQ==",
        "7+OTCyoxTmqmqyA/1weDAg==",
        "urn:uuid:1-2-3",
    )


def test_numbers_counters_and_what_is_endless_are_not_kept() -> None:
    """Some exchanges call a session by a telephone number; rows of sessions hold none."""
    numbers = (
        "+31612345678",
        "0612345678",
        "06-12 34.56(78)",
        "sip:+31612345678@pbx.example",
        "tel:0612345678",
    )
    named = [f"session:{each}" for each in (*numbers, "1", "callhalf"[:7], "x" * 201, "")]
    assert exchange_ids(named) == ()
    assert len(exchange_ids(f"session:call-number-{n}" for n in range(50))) == EXCHANGE_IDS_MAX
