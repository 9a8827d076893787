"""Evaluations: who makes, sees and answers them, that forms stand still, and what is left when a call goes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event as Signal
from typing import Any

import psycopg
import pytest

from archive.access import AccessScope, Hearing, Right, Scope
from archive.catalogue import directory, evaluation_forms, evaluations, recordings, revisions
from archive.catalogue.engine import Catalogue
from archive.catalogue.evaluation_forms import KeptForm
from archive.catalogue.evaluations import Evaluation
from archive.catalogue.migrate import ROLES
from archive.catalogue.revisions import Kind
from archive.errors import Conflict, NotFound, Refused
from archive.evaluation import Answer, Event, State
from archive.evaluation_form import CommentRule, Form, Question, QuestionKind, Section
from archive.model import ArchivedRecording, Recording, Role, Tenant, User, UserId

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
FORM = Form(
    (
        Section(
            "Begin",
            (
                Question("name", "Naam?", QuestionKind.YES_NO, fatal=True),
                Question("tone", "Toon", QuestionKind.SCALE, weight=3, comment=CommentRule.LOW),
            ),
        ),
    )
)
GOOD = {"name": Answer(1, 200), "tone": Answer(5, 700)}


@pytest.fixture
def anna(operator: Catalogue, bakery: Tenant) -> User:
    return directory.add_user(operator, bakery.id, "anna", now=NOW)


@pytest.fixture
def own(anna: User) -> AccessScope:
    """Anna, who hears her own recordings."""
    return AccessScope(anna.tenant_id, f"user:{anna.id}", Role.USER, anna.id, "own")


def listener(anna: User, name: str, *rights: Right) -> AccessScope:
    """Return somebody who hears Anna by way of a team that allows its members this."""
    return AccessScope(
        anna.tenant_id,
        f"user:{name}",
        Role.USER,
        UserId(name),
        team_ids=frozenset({"sales"}),
        heard=frozenset({Hearing(anna.id, "sales", rights=frozenset(rights))}),
    )


@pytest.fixture
def lena(anna: User) -> AccessScope:
    return listener(anna, "lena", Right.EVALUATE)


@pytest.fixture
def mark(anna: User) -> AccessScope:
    """A colleague of Lena who manages the team."""
    return dataclasses.replace(listener(anna, "mark", Right.EVALUATE), managed_team_ids=frozenset({"sales"}))


@pytest.fixture
def deaf(anna: User) -> AccessScope:
    """Somebody who hears Anna and may not evaluate."""
    return listener(anna, "deaf")


@pytest.fixture
def ada(bakery: Tenant) -> AccessScope:
    return AccessScope(bakery.id, "user:ada", Role.ADMINISTRATOR, UserId("ada"))


@pytest.fixture
def otto(bakery: Tenant) -> AccessScope:
    return AccessScope(bakery.id, "user:otto", Role.AUDITOR, UserId("otto"))


@pytest.fixture
def recording(
    recorder: Catalogue, make_recording: Callable[..., ArchivedRecording], bakery: Tenant, anna: User
) -> Recording:
    archived = make_recording(bakery.id, owner=anna.id)
    with recorder.transaction(bakery.id) as connection:
        recordings.insert_recording(connection, archived)
    return archived.recording


@pytest.fixture
def kept(portal: Catalogue, ada: AccessScope) -> KeptForm:
    return evaluation_forms.make(portal, ada, "  Gesprek\n ", FORM, now=NOW)


@pytest.fixture
def released(portal: Catalogue, lena: AccessScope, recording: Recording, kept: KeptForm) -> Evaluation:
    begun = evaluations.begin(portal, lena, recording, kept.id, now=NOW)
    evaluations.answer(portal, lena, recording, begun.id, GOOD, now=NOW)
    return evaluations.move(portal, lena, recording, begun.id, Event.RELEASE, now=NOW)


def seen(portal: Catalogue, scope: AccessScope, recording: Recording) -> list[State]:
    return [each.state for each in evaluations.of_recording(portal, scope, recording)]


def test_forms_are_made_by_administrators_and_managers_and_by_nobody_else(
    portal: Catalogue, ada: AccessScope, mark: AccessScope, lena: AccessScope, otto: AccessScope
) -> None:
    program = AccessScope(ada.tenant_id, "api-client:qm", scopes=frozenset(Scope))
    evaluating = dataclasses.replace(program, scopes=frozenset({Scope.RECORDINGS_EVALUATE}))
    for scope in (ada, mark, program):
        assert evaluation_forms.make(portal, scope, "Gesprek", FORM, now=NOW).version == 1
    for scope in (lena, otto, evaluating):
        with pytest.raises(Refused, match="administrators and managers"):
            evaluation_forms.make(portal, scope, "Gesprek", FORM, now=NOW)


def test_what_is_asked_changes_by_another_version_and_the_same_makes_none(
    portal: Catalogue, ada: AccessScope, kept: KeptForm
) -> None:
    assert (kept.name, kept.version, kept.newest, kept.form) == ("Gesprek", 1, 1, FORM)
    same = evaluation_forms.change(portal, ada, kept.id, form=FORM, name="Gesprek", now=LATER)
    assert same == kept
    other = Form((Section("Anders", FORM.questions),))
    after = evaluation_forms.change(portal, ada, kept.id, form=other, name="Nieuw", revision=1, now=LATER)
    assert (after.name, after.version, after.newest, after.form) == ("Nieuw", 2, 2, other)
    assert evaluation_forms.get(portal, ada, kept.id, 1).form == FORM
    assert [each.number for each in evaluation_forms.versions(portal, ada, kept.id)] == [2, 1]
    with pytest.raises(Conflict, match="Somebody else"):
        evaluation_forms.change(portal, ada, kept.id, name="Ouder", revision=1, now=LATER)
    evaluation_forms.change(portal, ada, kept.id, retired=True, now=LATER)
    assert evaluation_forms.of_tenant(portal, ada) == []
    assert [each.retired for each in evaluation_forms.of_tenant(portal, ada, retired=True)] == [True]
    values = revisions.of_object(portal, ada, Kind.EVALUATION_FORM, kept.id)
    assert [each.content["name"] for each in values] == ["Gesprek", "Nieuw", "Nieuw"]


def test_forms_and_versions_have_a_limit(
    portal: Catalogue, ada: AccessScope, kept: KeptForm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation_forms, "VERSIONS_MAX", 2)
    monkeypatch.setattr(evaluation_forms, "FORMS_PER_TENANT_MAX", 2)
    evaluation_forms.make(portal, ada, "Tweede", FORM, now=NOW)
    with pytest.raises(Conflict, match="2 forms"):
        evaluation_forms.make(portal, ada, "Derde", FORM, now=NOW)
    for title, ok in (("a", True), ("b", False)):
        other = Form((Section(title, FORM.questions),))
        if ok:
            evaluation_forms.change(portal, ada, kept.id, form=other, now=NOW)
        else:
            with pytest.raises(Conflict, match="2 versions"):
                evaluation_forms.change(portal, ada, kept.id, form=other, now=NOW)


@pytest.mark.parametrize("role", ROLES)
def test_no_role_changes_or_deletes_a_version_or_a_figure(
    database: Any, bakery: Tenant, kept: KeptForm, role: str
) -> None:
    connection = database.connect(role, bakery.id)
    for statement in (
        "UPDATE evaluation_form_versions SET content = '{}'",
        "DELETE FROM evaluation_form_versions",
        "DELETE FROM evaluation_forms",
        "INSERT INTO evaluation_figures VALUES ('x', 'x', 1, now(), 1, 1, 1)",
        "UPDATE evaluation_figures SET permille_sum = 0",
        "UPDATE evaluations SET owner = 'x'",
        "UPDATE evaluations SET form_version = 1",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_the_right_to_evaluate_is_one_of_its_own_and_nobody_evaluates_themselves(
    portal: Catalogue,
    own: AccessScope,
    deaf: AccessScope,
    ada: AccessScope,
    otto: AccessScope,
    recording: Recording,
    kept: KeptForm,
) -> None:
    self_made = dataclasses.replace(
        own, granted=frozenset(Right), own_rights=frozenset(Right), managed_team_ids=frozenset({"sales"})
    )
    for scope in (own, self_made, deaf, ada, otto):
        with pytest.raises(Refused, match="right to evaluate"):
            evaluations.begin(portal, scope, recording, kept.id, now=NOW)
    allowed = dataclasses.replace(deaf, granted=frozenset({Right.EVALUATE}))
    assert evaluations.begin(portal, allowed, recording, kept.id, now=NOW).state is State.DRAFT
    denied = dataclasses.replace(listener_of(own, allowed), denied=frozenset({Right.EVALUATE}))
    with pytest.raises(Refused):
        evaluations.begin(portal, denied, recording, kept.id, now=NOW)


def listener_of(own: AccessScope, scope: AccessScope) -> AccessScope:
    assert own.user_id is not None
    return dataclasses.replace(scope, granted=frozenset(), heard=frozenset({Hearing(own.user_id, "sales", rights=frozenset(Right))}))  # fmt: skip


def test_begun_twice_is_once_and_a_withdrawn_one_begins_anew(
    portal: Catalogue, lena: AccessScope, recording: Recording, kept: KeptForm
) -> None:
    first = evaluations.begin(portal, lena, recording, kept.id, now=NOW)
    assert evaluations.begin(portal, lena, recording, kept.id, now=LATER) == first
    gone = evaluations.move(portal, lena, recording, first.id, Event.WITHDRAW, now=NOW)
    assert gone.state is State.WITHDRAWN
    assert seen(portal, lena, recording) == []
    assert evaluations.begin(portal, lena, recording, kept.id, now=LATER).id != first.id
    with pytest.raises(NotFound):
        evaluations.begin(portal, lena, recording, "none", now=NOW)


def test_first_answers_are_given_to_the_version_that_was_shown_or_not_at_all(
    portal: Catalogue, ada: AccessScope, lena: AccessScope, recording: Recording, kept: KeptForm
) -> None:
    other = Form((Section("Anders", (Question("name", "Bedankt?", QuestionKind.YES_NO),)),))
    evaluation_forms.change(portal, ada, kept.id, form=other, now=NOW)
    given = {"name": Answer(1)}
    with pytest.raises(Conflict, match="changed meanwhile"):
        evaluations.begin(portal, lena, recording, kept.id, given=given, version=1, now=NOW)
    with pytest.raises(Refused):
        evaluations.begin(portal, lena, recording, kept.id, given={"tone": Answer(1)}, version=2, now=NOW)
    assert seen(portal, lena, recording) == []
    begun = evaluations.begin(portal, lena, recording, kept.id, given=given, version=2, now=NOW)
    assert (begun.form_version, begun.answers) == (2, given)
    # What was begun goes on by its own version, and is not answered as if it were another.
    evaluation_forms.change(portal, ada, kept.id, form=FORM, now=NOW)
    with pytest.raises(Conflict, match="changed meanwhile"):
        evaluations.begin(portal, lena, recording, kept.id, given=given, version=3, now=NOW)
    assert evaluations.begin(portal, lena, recording, kept.id, now=NOW).form_version == 2


def test_nobody_learns_from_the_versions_of_a_form_that_a_draft_was_begun(
    portal: Catalogue, own: AccessScope, lena: AccessScope, recording: Recording, kept: KeptForm
) -> None:
    begun = evaluations.begin(portal, lena, recording, kept.id, given=GOOD, now=NOW)
    assert [each.evaluations for each in evaluation_forms.versions(portal, own, kept.id)] == [0]
    evaluations.move(portal, lena, recording, begun.id, Event.RELEASE, now=NOW)
    assert [each.evaluations for each in evaluation_forms.versions(portal, own, kept.id)] == [1]


def test_a_retired_form_and_a_call_with_too_many_take_no_more(
    portal: Catalogue,
    ada: AccessScope,
    lena: AccessScope,
    mark: AccessScope,
    recording: Recording,
    kept: KeptForm,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evaluations.begin(portal, lena, recording, kept.id, now=NOW)
    monkeypatch.setattr(evaluations, "EVALUATIONS_PER_RECORDING_MAX", 1)
    with pytest.raises(Conflict, match="1 evaluations"):
        evaluations.begin(portal, mark, recording, kept.id, now=NOW)
    monkeypatch.undo()
    evaluation_forms.change(portal, ada, kept.id, retired=True, now=NOW)
    with pytest.raises(Conflict, match="not offered"):
        evaluations.begin(portal, mark, recording, kept.id, now=NOW)


def test_a_draft_is_seen_and_filled_in_by_who_makes_it_alone(
    portal: Catalogue,
    own: AccessScope,
    lena: AccessScope,
    mark: AccessScope,
    otto: AccessScope,
    recording: Recording,
    kept: KeptForm,
) -> None:
    begun = evaluations.begin(portal, lena, recording, kept.id, now=NOW)
    assert seen(portal, lena, recording) == [State.DRAFT]
    for scope in (own, mark, otto):
        assert seen(portal, scope, recording) == []
        with pytest.raises(NotFound):
            evaluations.answer(portal, scope, recording, begun.id, GOOD, now=NOW)
    with pytest.raises(NotFound):
        evaluations.about(portal, own, begun.id)
    half = evaluations.answer(portal, lena, recording, begun.id, {"name": GOOD["name"]}, now=NOW)
    assert half.score.permille == 1000
    with pytest.raises(Conflict, match="1 answers or comments are missing"):
        evaluations.move(portal, lena, recording, begun.id, Event.RELEASE, now=NOW)
    back = evaluations.answer(
        portal, lena, recording, begun.id, {"name": None}, revision=half.revision, now=NOW
    )
    assert back.answers == {}
    with pytest.raises(Conflict, match="Somebody else"):
        evaluations.answer(portal, lena, recording, begun.id, GOOD, revision=half.revision, now=NOW)


def test_answers_stand_where_the_sound_was_and_fit_the_form(
    portal: Catalogue, lena: AccessScope, recording: Recording, kept: KeptForm
) -> None:
    begun = evaluations.begin(portal, lena, recording, kept.id, now=NOW)
    late = {"tone": Answer(2, recording.duration_ms + 5000, "  Te vlug \r\n")}
    found = evaluations.answer(portal, lena, recording, begun.id, late, now=NOW)
    assert found.answers == {"tone": Answer(2, recording.duration_ms, "Te vlug")}
    for question, wrong in (("tone", Answer(6)), ("tone", Answer(None)), ("other", Answer(1))):
        with pytest.raises(Refused):
            evaluations.answer(portal, lena, recording, begun.id, {question: wrong}, now=NOW)


def test_a_released_one_is_seen_by_whom_it_is_about_who_may_evaluate_and_auditors(
    portal: Catalogue,
    own: AccessScope,
    lena: AccessScope,
    mark: AccessScope,
    deaf: AccessScope,
    ada: AccessScope,
    otto: AccessScope,
    recording: Recording,
    released: Evaluation,
) -> None:
    assert released.released_at == NOW
    for scope in (own, lena, mark, otto):
        assert seen(portal, scope, recording) == [State.RELEASED]
    reader = AccessScope(own.tenant_id, "api-client:crm", scopes=frozenset({Scope.RECORDINGS_READ}))
    for scope in (deaf, ada, reader):
        assert seen(portal, scope, recording) == []
        with pytest.raises(NotFound):
            evaluations.get(portal, scope, recording, released.id)
    # Whom it is about need not hear the call.
    unheard = dataclasses.replace(own, access="none")
    assert evaluations.about(portal, unheard, released.id).score.permille == 1000
    with pytest.raises(NotFound):
        evaluations.about(portal, lena, released.id)


def test_whom_it_is_about_acknowledges_or_disputes_and_nobody_else(
    portal: Catalogue,
    own: AccessScope,
    lena: AccessScope,
    mark: AccessScope,
    recording: Recording,
    released: Evaluation,
) -> None:
    for scope in (lena, mark):
        for event in (Event.ACKNOWLEDGE, Event.DISPUTE):
            with pytest.raises(Refused, match="Only the person"):
                evaluations.move(portal, scope, recording, released.id, event, words="Nee", now=LATER)
    with pytest.raises(Refused):
        evaluations.reply(portal, own, released.id, Event.DISPUTE, words=" ", now=LATER)
    for event in (Event.SETTLE, Event.RELEASE, Event.WITHDRAW):
        with pytest.raises(Refused, match="right to evaluate"):
            evaluations.reply(portal, own, released.id, event, words="Nee", now=LATER)
    assert (
        evaluations.reply(portal, own, released.id, Event.ACKNOWLEDGE, now=LATER).state is State.ACKNOWLEDGED
    )
    with pytest.raises(Conflict, match="acknowledged"):
        evaluations.reply(portal, own, released.id, Event.ACKNOWLEDGE, now=LATER)
    # To have seen it is not to agree.
    disputed = evaluations.reply(portal, own, released.id, Event.DISPUTE, words="Toch niet", now=LATER)
    assert (disputed.state, disputed.objection) == (State.DISPUTED, "Toch niet")


def test_of_two_replies_at_once_the_later_one_does_not_undo_the_earlier_one(
    portal: Catalogue,
    own: AccessScope,
    recording: Recording,
    released: Evaluation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A dispute that is being kept is not acknowledged away by the same person in another browser."""
    before, began, goes_on = evaluations._tell, Signal(), Signal()

    def held(*given: Any) -> None:
        before(*given)
        began.set()
        assert goes_on.wait(10)

    monkeypatch.setattr(evaluations, "_tell", held)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(
            evaluations.reply, portal, own, released.id, Event.DISPUTE, words="Nee", now=LATER
        )
        assert began.wait(10)
        monkeypatch.setattr(evaluations, "_tell", before)
        second = pool.submit(
            evaluations.move, portal, own, recording, released.id, Event.ACKNOWLEDGE, now=LATER
        )
        with pytest.raises(TimeoutError):
            second.result(0.5)
        goes_on.set()
        assert first.result(10).state is State.DISPUTED
        with pytest.raises(Conflict):
            second.result(10)
    found = evaluations.about(portal, own, released.id)
    assert (found.state, found.objection) == (State.DISPUTED, "Nee")


def test_a_dispute_is_settled_with_other_answers_and_every_value_stays(
    portal: Catalogue,
    own: AccessScope,
    lena: AccessScope,
    mark: AccessScope,
    recording: Recording,
    released: Evaluation,
) -> None:
    lower = {"tone": Answer(3, 900, "Kortaf")}
    with pytest.raises(Conflict, match="dispute is settled"):
        evaluations.answer(portal, lena, recording, released.id, lower, now=LATER)
    evaluations.move(
        portal, own, recording, released.id, Event.DISPUTE, words="Ik was vriendelijk", now=LATER
    )
    with pytest.raises(Refused):
        evaluations.answer(portal, own, recording, released.id, lower, now=LATER)
    evaluations.answer(portal, mark, recording, released.id, lower, now=LATER)
    with pytest.raises(Refused):
        evaluations.move(portal, mark, recording, released.id, Event.SETTLE, words="", now=LATER)
    settled = evaluations.move(
        portal, mark, recording, released.id, Event.SETTLE, words="Samen beluisterd", now=LATER
    )
    assert (settled.state, settled.objection, settled.settlement) == (
        State.SETTLED,
        "Ik was vriendelijk",
        "Samen beluisterd",
    )
    assert settled.score.permille == 625
    kept = revisions.of_object(portal, own, Kind.EVALUATION, released.id)
    assert [(each.content["state"], each.content["score_permille"]) for each in kept] == [
        ("released", 1000),
        ("disputed", 1000),
        ("disputed", 625),
        ("settled", 625),
    ]
    assert [each.actor for each in kept] == ["user:lena", own.actor, "user:mark", "user:mark"]


def test_of_a_draft_no_earlier_value_stays(
    portal: Catalogue, lena: AccessScope, recording: Recording, kept: KeptForm
) -> None:
    begun = evaluations.begin(portal, lena, recording, kept.id, now=NOW)
    evaluations.answer(portal, lena, recording, begun.id, {"name": Answer(0)}, now=NOW)
    assert revisions.of_object(portal, lena, Kind.EVALUATION, begun.id) == []


def test_the_database_keeps_what_was_released_from_going_back(
    database: Any, bakery: Tenant, released: Evaluation
) -> None:
    connection = database.connect("earwitness_portal", bakery.id)
    for statement in (
        "UPDATE evaluations SET state = 'draft'",
        "UPDATE evaluations SET state = 'withdrawn'",
        "UPDATE evaluations SET answers = '{}'",
        "UPDATE evaluations SET released_at = now()",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="not changed so"):
            connection.execute(statement)


def test_an_evaluation_goes_with_its_recording_and_leaves_a_figure_of_nobody(
    database: Any, bakery: Tenant, released: Evaluation, own: AccessScope, portal: Catalogue
) -> None:
    worker = database.connect("earwitness_worker", bakery.id)
    worker.execute("DELETE FROM recordings")
    admin = database.connect()
    assert admin.execute("SELECT count(*) FROM evaluations").fetchone() == (0,)
    left = "SELECT count(*) FROM annotation_revisions WHERE kind = 'evaluation'"
    assert admin.execute(left).fetchone() == (0,)
    rows = admin.execute(
        "SELECT form_version, month::text, evaluations, permille_sum, failed FROM evaluation_figures"
    ).fetchall()
    assert rows == [(1, "2026-11-01", 1, 1000, 0)]
    names = admin.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'evaluation_figures'"
    ).fetchall()
    assert {name for (name,) in names} == {
        "tenant_id",
        "form_id",
        "form_version",
        "month",
        "evaluations",
        "permille_sum",
        "failed",
    }


def test_an_evaluation_has_a_limit_of_words(
    portal: Catalogue, own: AccessScope, recording: Recording, released: Evaluation
) -> None:
    most = "x" * evaluations.WORDS_CHARS_MAX
    with pytest.raises(Refused):
        evaluations.reply(portal, own, released.id, Event.DISPUTE, words=most + "x", now=LATER)
    assert evaluations.reply(portal, own, released.id, Event.DISPUTE, words=most, now=LATER).objection == most
