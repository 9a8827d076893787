"""The trace of a decision is told in words of the reader, with moments, and names people only as they are known."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from archive.decision import NO_GROUNDS
from playback_portal import trace
from playback_portal.language import Language

AT = "2026-11-22T09:30:05.250Z"
REFUSAL = "The recording did not obey 'pause': it is paused already (mode Always with pause)."
LINES = (
    "peer Centrale Zuid",
    "tenant 0190",
    "no tenant: the peer has none and the exchange named none that is known",
    "a party is on the do-not-record list: +31201234567",
    "user u1: a party is on their do-not-record list: doctor",
    "parties: +31201234567, +31612345678",
    "user u1 by the exchange's user id",
    "user u1 by number",
    "the exchange's user id is unknown; trying numbers",
    "the exchange named a user who is unknown here: recorded for the quarantine",
    "the description can't be read: recorded for the tenant, of nobody in particular",
    NO_GROUNDS,
    "user u1: mode never",
    "user u1: mode always, but no licence",
    "user u1: the minutes of the month are used up, and the policy is to stop",
    "user u1: mode on-demand, class 365d",
    f"{AT} pause by user:u1",
    f"{AT} resume by star code",
    f"{AT} keep by keep next",
    f"{AT} keep by user:u1, after the call",
    f"{AT} start by api-client:c1",
    f"{AT} stop by exchange",
    f"{AT} pause by star code: refused. {REFUSAL}",
    f"{AT} media stopped by exchange",
    f"{AT} media again by exchange",
    "media: 2 streams, 1500 packets, 3 lost, 0 duplicated",
    "media: 1 stream, 0 packets, 0 lost, 0 duplicated",
    "class 365d kept until 2027-11-22",
    "class 7y-1000 kept until 2033-11-22, above the minutes of the month",
    "quarantined until 2027-02-20",
)


@pytest.mark.parametrize("line", LINES)
def test_every_line_of_the_recorder_has_words_in_both_languages(line: str) -> None:
    (step,) = trace.steps([line])
    assert not step.plain
    english, dutch = (
        trace.told(step, language, {"u1": "anna"}) for language in (Language.ENGLISH, Language.DUTCH)
    )
    assert english != dutch
    for text in (english, dutch):
        assert "%(" not in text
        assert "u1" not in text
        assert "+31" not in text


def test_a_step_has_its_moment_and_who_did_it() -> None:
    (step,) = trace.steps([f"{AT} pause by user:u1"])
    assert step.at == datetime(2026, 11, 22, 9, 30, 5, 250_000, tzinfo=UTC)
    assert (step.icon, step.user_id) == ("pause", "u1")
    assert trace.told(step, Language.ENGLISH, {"u1": "anna"}) == "Pause was asked by anna."
    assert "no longer here" in trace.told(step, Language.ENGLISH, {})


def test_a_refusal_is_told_with_its_reason() -> None:
    (step,) = trace.steps([f"{AT} pause by star code: refused. {REFUSAL}"])
    told = trace.told(step, Language.DUTCH, {})
    assert told.startswith("Pauze gevraagd ")
    assert told.endswith(" Het is al gepauzeerd.")


def test_what_nobody_foresaw_is_shown_as_it_is_and_a_trace_has_an_end() -> None:
    (step,) = trace.steps(["the moon was full"])
    assert (step.plain, trace.told(step, Language.DUTCH, {})) == (True, "the moon was full")
    assert len(trace.steps(["peer x"] * 1000)) == trace.STEPS_COUNT_MAX
