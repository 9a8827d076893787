"""What a data subject may ask, by when they are answered, and where they are heard alone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.data_subject import (
    GROUNDS,
    STEPS,
    Bar,
    Ground,
    Inseparable,
    Kept,
    Outcome,
    RequestKind,
    RequestState,
    Sought,
    SoughtBy,
    Step,
    after,
    bar_of,
    check_answer,
    check_extension,
    due_on,
    is_on,
    kept_of,
    sought_of,
    today,
)
from archive.errors import Conflict, Refused
from archive.model import Layout, Party, Recording, RetentionClass, TenantId, UserId
from tests.made_recordings import made_recording

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
ANNA = Sought(SoughtBy.NUMBER, "+31612345678")


def call(
    *parties: Party, channels: tuple[str, ...] = ("a", "b"), layout: Layout = Layout.TWO_PARTY
) -> Recording:
    return made_recording(TenantId("t"), NOW, 60_000, parties=parties, channels=channels, layout=layout)


@pytest.mark.parametrize(
    ("received", "due", "extended"),
    [
        ("2026-11-22", "2026-12-22", "2027-02-22"),
        ("2026-01-31", "2026-02-28", "2026-04-30"),
        ("2027-12-31", "2028-01-31", "2028-03-31"),
        ("2027-11-30", "2027-12-30", "2028-02-29"),
        ("2026-03-31", "2026-04-30", "2026-06-30"),
    ],
)
def test_the_answer_is_due_on_the_same_day_of_the_next_month_or_the_last_it_has(
    received: str, due: str, extended: str
) -> None:
    on = date.fromisoformat(received)
    assert due_on(on) == date.fromisoformat(due)
    assert due_on(on, extended=True) == date.fromisoformat(extended)


@settings(max_examples=100, deadline=None)
@given(st.dates(date(2020, 1, 1), date(2060, 1, 1)))
def test_a_month_has_28_to_31_days_and_three_months_at_most_92(received: date) -> None:
    assert 28 <= (due_on(received) - received).days <= 31
    assert 89 <= (due_on(received, extended=True) - received).days <= 92


def test_days_are_counted_where_the_people_are() -> None:
    assert today(datetime(2026, 11, 22, 23, 30, tzinfo=UTC)) == date(2026, 11, 23)


def test_a_request_is_extended_within_its_first_month_only() -> None:
    check_extension(date(2026, 11, 22), date(2026, 12, 22))
    with pytest.raises(Conflict, match="within a month"):
        check_extension(date(2026, 11, 22), date(2026, 12, 23))


@pytest.mark.parametrize("state", RequestState)
@pytest.mark.parametrize("step", Step)
def test_every_step_leads_where_the_table_says_or_is_refused(state: RequestState, step: Step) -> None:
    if (state, step) in STEPS:
        assert after(state, step) is STEPS[state, step]
    else:
        with pytest.raises(Conflict):
            after(state, step)


def test_before_identification_nothing_is_looked_for_given_or_granted() -> None:
    for step in (Step.SEARCH, Step.CHOOSE, Step.EXPORT, Step.GRANT):
        with pytest.raises(Conflict, match="identified"):
            after(RequestState.TAKEN_IN, step)
    assert not [step for state, step in STEPS if state is RequestState.CLOSED]


@pytest.mark.parametrize("kind", RequestKind)
@pytest.mark.parametrize("ground", Ground)
def test_a_refusal_stands_on_a_ground_of_its_kind_of_request(kind: RequestKind, ground: Ground) -> None:
    article, kinds = GROUNDS[ground]
    assert article.startswith("GDPR ")
    for outcome in (Outcome.REFUSED, Outcome.PARTLY):
        if kind in kinds:
            check_answer(kind, outcome, ground)
        else:
            with pytest.raises(Refused, match="is none for"):
                check_answer(kind, outcome, ground)


def test_what_is_granted_has_no_ground_and_what_is_not_has_one() -> None:
    check_answer(RequestKind.ACCESS, Outcome.GRANTED, None)
    with pytest.raises(Refused, match="name it"):
        check_answer(RequestKind.ACCESS, Outcome.REFUSED, None)
    with pytest.raises(Refused, match="no ground"):
        check_answer(RequestKind.ACCESS, Outcome.GRANTED, Ground.EXCESSIVE)


def _spelled(digits: str) -> st.SearchStrategy[str]:
    """Return notations of a Dutch mobile number by its nine digits behind the 0."""
    prefix = st.sampled_from(["0", "+31", "0031", "+31 (0)", "tel:+31", "sip:+31"])
    separator = st.sampled_from(["", " ", "-", ".", "/"])
    grouped = st.integers(1, 8)

    def written(before: str, between: str, at: int) -> str:
        number = before + digits[:at] + between + digits[at:]
        return number + "@pbx.example;user=phone" if before.startswith("sip:") else number

    return st.builds(written, prefix, separator, grouped)


@settings(max_examples=100, deadline=None)
@given(st.from_regex(r"6[1-9][0-9]{7}", fullmatch=True).flatmap(lambda d: st.tuples(st.just(d), _spelled(d))))
def test_a_number_in_any_notation_is_the_one_the_call_has(drawn: tuple[str, str]) -> None:
    digits, text = drawn
    sought = sought_of(SoughtBy.NUMBER, text)
    assert sought.value == f"+31{digits}"
    assert is_on(Party("a", f"+31{digits}"), [sought])
    assert not is_on(Party("a", f"+31{digits[:-1]}{(int(digits[-1]) + 1) % 10}"), [sought])


def test_extensions_and_addresses_are_numbers_and_words_are_none() -> None:
    assert sought_of(SoughtBy.NUMBER, "1234").value == "1234"
    assert sought_of(SoughtBy.NUMBER, "sip:Anna@pbx.example").value == "anna@pbx.example"
    for text in ("", "  ", "anna"):
        with pytest.raises(Refused, match="no telephone number"):
            sought_of(SoughtBy.NUMBER, text)


def test_a_name_is_on_a_call_when_all_of_its_words_are_whatever_their_case_marks_and_order() -> None:
    sought = sought_of(SoughtBy.NAME, " josé   JANSEN ")
    assert is_on(Party("a", "", "Jansen, Jose M."), [sought])
    assert not is_on(Party("a", "", "Jansen, M."), [sought])
    with pytest.raises(Refused, match="at least one word"):
        sought_of(SoughtBy.NAME, "M.")


def test_a_person_of_the_tenant_is_on_a_call_by_who_they_are() -> None:
    assert is_on(Party("a", "", "", UserId("u1")), [Sought(SoughtBy.USER, "u1")])
    assert not is_on(Party("a", "", "", None), [Sought(SoughtBy.USER, "u1")])


def test_who_has_a_channel_of_their_own_is_kept_there_and_nowhere_else() -> None:
    recording = call(Party("a", ANNA.value), Party("b", "+31201234567"))
    assert kept_of(recording, [ANNA]) == (Kept(0, 0, None),)


def test_who_came_by_a_transfer_is_kept_from_then_on() -> None:
    first, second = Party("b", "+31107000000", to_ms=20_000), Party("b", ANNA.value, from_ms=20_000)
    assert kept_of(call(Party("a", "+31201234567"), first, second), [ANNA]) == (Kept(1, 20_000, None),)


def test_who_can_not_be_told_apart_is_said_to_be_so() -> None:
    both = (Party("mixed", ANNA.value), Party("mixed", "+31201234567"))
    assert kept_of(call(*both, channels=("mixed",), layout=Layout.MIXED), [ANNA]) is Inseparable.MIXED
    shared = (Party("a", ANNA.value), Party("a", "+31107000000", from_ms=5), Party("b", "+31201234567"))
    assert kept_of(call(*shared), [ANNA]) is Inseparable.SHARED_CHANNEL
    alone = call(Party("a", "+31107000000"), Party("b", "+31201234567"))
    assert kept_of(alone, [ANNA]) is Inseparable.UNKNOWN_CHANNEL
    lost = call(Party("a", ANNA.value), Party("?", "+31201234567"))
    assert kept_of(lost, [ANNA]) is Inseparable.UNKNOWN_CHANNEL
    assert kept_of(lost, [ANNA], decodable=False) is Inseparable.NOT_DECODED


def test_in_a_conference_every_party_has_a_channel() -> None:
    parties = tuple(Party(str(n), f"+3120000000{n}") for n in range(4))
    recording = call(*parties, channels=("0", "1", "2", "3"), layout=Layout.MULTI)
    assert kept_of(recording, [Sought(SoughtBy.NUMBER, "+31200000002")]) == (Kept(2, 0, None),)


def test_what_is_held_or_kept_by_a_duty_is_not_erased_before_its_term() -> None:
    recording = call(Party("a", ANNA.value))
    held = made_recording(TenantId("t"), NOW - timedelta(days=1), 1000, on_hold=True)
    none: frozenset[RetentionClass] = frozenset()
    assert [bar_of(recording, each) for each in (none, frozenset({RetentionClass.DAYS_90}))] == [
        None,
        Bar.DUTY,
    ]
    assert [bar_of(held, each) for each in (none, frozenset(RetentionClass))] == [Bar.HOLD, Bar.HOLD]
