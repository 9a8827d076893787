"""Samples of calls to evaluate: whose calls are drawn, by whom, and how long a sample is found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from archive.access import AccessScope, Hearing, Right
from archive.catalogue import directory, evaluation_forms, evaluation_samples, evaluations, recordings
from archive.catalogue.engine import Catalogue
from archive.catalogue.evaluation_forms import KeptForm
from archive.catalogue.evaluation_samples import NewSample
from archive.errors import Conflict, NotFound
from archive.evaluation import Answer, Event
from archive.evaluation_form import Form, Question, QuestionKind, Section
from archive.model import ArchivedRecording, Role, Tenant, UserId

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
MONTH = date(2026, 11, 1)
FORM = Form((Section("Begin", (Question("tone", "Toon", QuestionKind.SCALE),)),))
TEAM = "01990000-0000-7000-8000-00000000aaaa"


@pytest.fixture
def people(operator: Catalogue, bakery: Tenant) -> dict[str, UserId]:
    """Anna and Lena, who both contribute to the team; Lena and Mark listen to it and may evaluate."""
    return {
        name: directory.add_user(operator, bakery.id, name, now=NOW).id for name in ("anna", "lena", "mark")
    }


def evaluator(bakery: Tenant, people: dict[str, UserId], name: str) -> AccessScope:
    rights = frozenset({Right.EVALUATE})
    heard = frozenset(Hearing(people[each], TEAM, rights=rights) for each in ("anna", "lena"))
    teams = frozenset({TEAM})
    return AccessScope(
        bakery.id, f"user:{people[name]}", Role.USER, people[name], team_ids=teams, heard=heard
    )


@pytest.fixture
def lena(bakery: Tenant, people: dict[str, UserId]) -> AccessScope:
    return evaluator(bakery, people, "lena")


@pytest.fixture
def mark(bakery: Tenant, people: dict[str, UserId]) -> AccessScope:
    return evaluator(bakery, people, "mark")


@pytest.fixture
def ada(bakery: Tenant) -> AccessScope:
    return AccessScope(bakery.id, "user:ada", Role.ADMINISTRATOR, UserId("ada"))


@pytest.fixture
def kept(portal: Catalogue, ada: AccessScope) -> KeptForm:
    return evaluation_forms.make(portal, ada, "Gesprek", FORM, now=NOW)


@pytest.fixture
def calls(
    recorder: Catalogue,
    make_recording: Callable[..., ArchivedRecording],
    bakery: Tenant,
    people: dict[str, UserId],
) -> None:
    """Six calls of Anna, six of Lena and one of Mark, who does not contribute to the team."""
    for number, name in enumerate(["anna", "lena"] * 6 + ["mark"]):
        archived = make_recording(bakery.id, owner=people[name], minutes=number)
        with recorder.transaction(bakery.id) as connection:
            recordings.insert_recording(connection, archived)


@pytest.mark.usefixtures("calls")
def test_who_draws_is_drawn_too_and_sees_the_calls_of_others_alone(
    portal: Catalogue, lena: AccessScope, mark: AccessScope, kept: KeptForm, people: dict[str, UserId]
) -> None:
    made = evaluation_samples.draw_sample(portal, lena, NewSample(TEAM, kept.id, MONTH, 4), now=NOW)
    found = evaluation_samples.sample(portal, lena, made)
    assert (found.count, found.done) == (8, 0)

    def owners(scope: AccessScope) -> list[UserId]:
        return sorted(each.owner for each in evaluation_samples.calls_of(portal, scope, found))

    assert owners(lena) == [people["anna"]] * 4
    assert owners(mark) == sorted([people["anna"]] * 4 + [people["lena"]] * 4)
    with pytest.raises(Conflict):
        evaluation_samples.draw_sample(portal, mark, NewSample(TEAM, kept.id, MONTH, 4), now=NOW)


@pytest.mark.usefixtures("calls")
def test_for_a_form_that_is_not_offered_any_more_nothing_is_drawn(
    portal: Catalogue, lena: AccessScope, ada: AccessScope, kept: KeptForm
) -> None:
    evaluation_forms.change(portal, ada, kept.id, retired=True, now=NOW)
    with pytest.raises(Conflict, match="not offered"):
        evaluation_samples.draw_sample(portal, lena, NewSample(TEAM, kept.id, MONTH, 4), now=NOW)


@pytest.mark.usefixtures("calls")
def test_a_sample_is_found_however_many_came_after_it(
    portal: Catalogue, lena: AccessScope, ada: AccessScope, kept: KeptForm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation_samples, "SAMPLES_MAX", 1)
    first = evaluation_samples.draw_sample(portal, lena, NewSample(TEAM, kept.id, MONTH, 1), now=NOW)
    other = evaluation_forms.make(portal, ada, "Ander", FORM, now=NOW)
    later = NOW + timedelta(hours=1)
    second = evaluation_samples.draw_sample(portal, lena, NewSample(TEAM, other.id, MONTH, 1), now=later)
    assert [each.id for each in evaluation_samples.samples(portal, lena)] == [second]
    assert evaluation_samples.sample(portal, lena, first).id == first
    stranger = AccessScope(ada.tenant_id, "user:x", Role.USER, UserId("x"))
    with pytest.raises(NotFound):
        evaluation_samples.sample(portal, stranger, first)


@pytest.mark.usefixtures("calls")
def test_a_call_is_done_once_it_was_evaluated_by_the_form_of_the_sample_and_by_no_other(
    portal: Catalogue, mark: AccessScope, ada: AccessScope, kept: KeptForm
) -> None:
    other = evaluation_forms.make(portal, ada, "Ander", FORM, now=NOW)
    by_form = {
        each.id: evaluation_samples.draw_sample(portal, mark, NewSample(TEAM, each.id, MONTH, 6), now=NOW)
        for each in (kept, other)
    }
    call = evaluation_samples.calls_of(
        portal, mark, evaluation_samples.sample(portal, mark, by_form[kept.id])
    )[0]
    recording = recordings.get(portal, mark, call.recording_id).recording
    given = {"tone": Answer(3)}
    begun = evaluations.begin(portal, mark, recording, kept.id, given=given, now=NOW)
    evaluations.move(portal, mark, recording, begun.id, Event.RELEASE, now=NOW)
    done = {form: evaluation_samples.sample(portal, mark, made).done for form, made in by_form.items()}
    assert done == {kept.id: 1, other.id: 0}
