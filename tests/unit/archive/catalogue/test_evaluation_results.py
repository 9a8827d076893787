"""Results of evaluations: what of few is told to whom, by choice and by subtraction too."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from archive.access import AccessScope, Hearing, Right
from archive.catalogue import directory, evaluation_forms, evaluation_results, evaluations, recordings
from archive.catalogue.engine import Catalogue
from archive.catalogue.evaluation_results import Choices, Wanted
from archive.errors import NotFound, Refused
from archive.evaluation import Answer, Event, State
from archive.evaluation_form import Category, Form, Question, QuestionKind, Section
from archive.model import ArchivedRecording, Recording, Role, Tenant, UserId

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
FORM = Form((Section("Begin", (Question("tone", "Toon", QuestionKind.SCALE),)),))
TONES = (5, 4, 3, 2, 1, 5)


class Floor:
    """A floor where Lena and Mark evaluate Anna and Bob, and Otto audits."""

    def __init__(self, operator: Catalogue, portal: Catalogue, tenant: Tenant) -> None:
        self.portal, self.tenant = portal, tenant
        self.people = {
            name: directory.add_user(operator, tenant.id, name, now=NOW).id for name in ("anna", "bob")
        }
        heard = frozenset(
            Hearing(each, "sales", rights=frozenset({Right.EVALUATE})) for each in self.people.values()
        )
        self.lena, self.mark = (
            AccessScope(
                tenant.id, f"user:{name}", Role.USER, UserId(name), team_ids=frozenset({"sales"}), heard=heard
            )
            for name in ("lena", "mark")
        )
        self.anna = AccessScope(
            tenant.id, f"user:{self.people['anna']}", Role.USER, self.people["anna"], "own"
        )
        self.otto = AccessScope(tenant.id, "user:otto", Role.AUDITOR, UserId("otto"))
        self.ada = AccessScope(tenant.id, "user:ada", Role.ADMINISTRATOR, UserId("ada"))
        self.form = evaluation_forms.make(portal, self.ada, "Gesprek", FORM, now=NOW).id
        self.calls: list[Recording] = []

    def released(self, owner: str, tone: int, by: AccessScope | None = None) -> evaluations.Evaluation:
        """Return an evaluation of a call of somebody, released a day after the one before."""
        scope, day = by or self.lena, NOW + timedelta(days=len(self.calls))
        recording = self.archive(self.people[owner])
        self.calls.append(recording)
        given = {"tone": Answer(tone)}
        begun = evaluations.begin(self.portal, scope, recording, self.form, given=given, now=day)
        return evaluations.move(self.portal, scope, recording, begun.id, Event.RELEASE, now=day)

    def told(self, scope: AccessScope, wanted: Wanted = evaluation_results.ANY) -> list[int | None]:
        """Return what is told of scores, newest first."""
        page = evaluation_results.of_others(self.portal, scope, wanted)
        return [each.permille for each in page.items]

    def averages(self, scope: AccessScope, wanted: Wanted = evaluation_results.ANY) -> dict[str, int | None]:
        """Return what is told of averages, by name."""
        names = {user_id: name for name, user_id in self.people.items()}
        found = evaluation_results.averages(self.portal, scope, wanted)
        return {names[each.owner]: each.permille for each in found}

    archive: Callable[[str], Recording]


@pytest.fixture
def floor(
    operator: Catalogue,
    portal: Catalogue,
    recorder: Catalogue,
    bakery: Tenant,
    make_recording: Callable[..., ArchivedRecording],
) -> Floor:
    it = Floor(operator, portal, bakery)

    def archive(owner: str) -> Recording:
        archived = make_recording(bakery.id, owner=owner, minutes=len(it.calls))
        with recorder.transaction(bakery.id) as connection:
            recordings.insert_recording(connection, archived)
        return archived.recording

    it.archive = archive
    return it


@pytest.fixture
def hidden(floor: Floor) -> Floor:
    """Anna has four evaluations by Lena, Bob five and one by Mark; of few nothing is told."""
    for tone in TONES[:4]:
        floor.released("anna", tone)
    for tone in TONES[:5]:
        floor.released("bob", tone)
    floor.released("bob", 1, floor.mark)
    evaluation_results.hide_few(floor.portal, floor.ada, hides=True)
    return floor


def test_only_an_administrator_decides_whether_few_are_told(floor: Floor) -> None:
    for scope in (floor.lena, floor.otto, floor.anna):
        with pytest.raises(Refused):
            evaluation_results.hide_few(floor.portal, scope, hides=False)
    assert not evaluation_results.hides_few(floor.portal, floor.lena)


def test_where_few_are_told_everything_is(floor: Floor) -> None:
    for tone in TONES[:2]:
        floor.released("anna", tone)
    assert floor.told(floor.mark) == [750, 1000]
    assert floor.averages(floor.mark) == {"anna": 875}


def test_of_few_neither_average_nor_any_score_is_told_and_of_many_all(hidden: Floor) -> None:
    assert hidden.averages(hidden.mark) == {"anna": None, "bob": 416}
    of_anna, of_bob = (Wanted(owner=hidden.people[name]) for name in ("anna", "bob"))
    assert hidden.told(hidden.mark, of_anna) == [None] * 4
    assert None not in hidden.told(hidden.mark, of_bob)
    # Who made them knows them.
    assert hidden.told(hidden.lena, of_anna) == [250, 500, 750, 1000]
    assert hidden.averages(hidden.lena)["anna"] is None


def test_no_period_tells_by_subtraction_what_is_hidden(hidden: Floor) -> None:
    days = [NOW + timedelta(days=each) for each in range(12)]
    for since in days:
        for until in days:
            wanted = Wanted(since=since, until=until)
            assert hidden.averages(hidden.mark, wanted).get("anna") is None
            found = evaluation_results.of_others(hidden.portal, hidden.mark, wanted).items
            assert all(each.hidden for each in found if each.owner == hidden.people["anna"])
    # Of many there is no average of few either.
    assert hidden.averages(hidden.mark, Wanted(since=days[8])) == {"bob": None}


def test_one_of_few_is_seen_by_whom_it_concerns_and_by_others_only_while_it_is_disputed(
    hidden: Floor,
) -> None:
    call = hidden.calls[0]
    (found,) = evaluations.of_recording(hidden.portal, hidden.lena, call)

    def sees(scope: AccessScope) -> bool:
        listed = evaluations.of_recording(hidden.portal, scope, call)
        try:
            evaluations.get(hidden.portal, scope, call, found.id)
        except NotFound:
            assert listed == []
            return False
        return bool(listed)

    assert [sees(each) for each in (hidden.lena, hidden.anna, hidden.otto, hidden.mark)] == [
        True,
        True,
        True,
        False,
    ]
    evaluations.reply(hidden.portal, hidden.anna, found.id, Event.DISPUTE, words="Nee", now=NOW)
    assert sees(hidden.mark)
    evaluations.move(hidden.portal, hidden.mark, call, found.id, Event.SETTLE, words="Klopt", now=NOW)
    assert not sees(hidden.mark)
    (listed,) = [
        each for each in evaluation_results.of_others(hidden.portal, hidden.mark).items if each.id == found.id
    ]
    assert (listed.hidden, listed.opens, listed.failed) == (True, False, False)
    of_otto = evaluation_results.of_others(hidden.portal, hidden.otto).items
    assert all(each.opens for each in of_otto)


def test_the_fifth_lets_all_be_told(hidden: Floor) -> None:
    hidden.released("anna", 5)
    assert hidden.averages(hidden.mark)["anna"] == 700
    assert None not in hidden.told(hidden.mark)


def test_results_are_chosen_by_person_form_state_and_day(floor: Floor) -> None:
    first, second = floor.released("anna", 5), floor.released("bob", 3)
    evaluations.reply(floor.portal, floor.anna, first.id, Event.ACKNOWLEDGE, now=NOW)

    def chosen(**wanted: Any) -> list[str]:
        found = evaluation_results.of_others(floor.portal, floor.lena, Wanted(**wanted)).items
        return [each.id for each in found]

    assert chosen() == [second.id, first.id]
    assert chosen(owner=floor.people["bob"]) == [second.id]
    assert chosen(form_id=floor.form, state=State.ACKNOWLEDGED) == [first.id]
    assert chosen(form_id="other") == []
    assert chosen(since=NOW + timedelta(days=1)) == [second.id]
    assert chosen(until=NOW + timedelta(days=1)) == [first.id]
    found = evaluation_results.choices(floor.portal, floor.lena)
    assert (set(found.people), found.forms) == (set(floor.people.values()), [(floor.form, "Gesprek")])
    assert found.categories == []
    assert evaluation_results.choices(floor.portal, floor.anna) == Choices([], [], [])


CATEGORIES = (Category("Laag", 0), Category("Midden", 50), Category("Hoog", 75))


def graded(floor: Floor, *categories: Category) -> Floor:
    evaluation_forms.change(floor.portal, floor.ada, floor.form, categories=categories, now=NOW)
    return floor


def test_results_are_chosen_by_what_the_version_they_were_made_by_calls_their_score(floor: Floor) -> None:
    plain = floor.released("bob", 5)
    graded(floor, *CATEGORIES)
    for tone in TONES:
        floor.released("anna", tone)
    graded(floor, Category("Hoog", 0), Category("Top", 100))
    other = floor.released("bob", 1)

    def chosen(name: str) -> list[int | None]:
        return floor.told(floor.lena, Wanted(category=name))

    assert chosen("Laag") == [0, 250]
    assert chosen("Midden") == [500]
    # The border belongs to the higher one, and a later version has borders of its own.
    assert chosen("Hoog") == [other.score.permille, 1000, 750, 1000]
    for none in ("Top", "hoog", "", "Laag' OR '1'='1"):
        assert chosen(none) == []
    assert plain.category is None
    assert floor.averages(floor.lena, Wanted(category="Laag")) == {"anna": 125}
    assert evaluation_results.choices(floor.portal, floor.lena).categories == [
        "Hoog",
        "Laag",
        "Midden",
        "Top",
    ]
    for each in evaluation_results.of_others(floor.portal, floor.lena).items:
        if each.category is not None:
            same = Wanted(category=each.category, owner=each.owner)
            page = evaluation_results.of_others(floor.portal, floor.lena, same)
            assert each in page.items


def test_no_category_tells_what_is_hidden(floor: Floor) -> None:
    """Neither in the list nor by a count; who made an evaluation, and whom it is about, know it anyway."""
    graded(floor, *CATEGORIES)
    for tone in TONES[:4]:
        floor.released("anna", tone)
    floor.released("anna", 5, floor.mark)
    for tone in TONES[:4]:
        floor.released("bob", tone)
    evaluation_results.hide_few(floor.portal, floor.ada, hides=True)
    many, few = (Wanted(owner=floor.people[name], category="Hoog") for name in ("anna", "bob"))
    for scope in (floor.mark, floor.otto):
        assert floor.told(scope, many) == [1000, 750, 1000]
        assert floor.told(scope, few) == []
        assert "bob" not in floor.averages(scope, Wanted(category="Hoog"))
        assert evaluation_results.choices(floor.portal, scope).categories == ["Laag", "Midden", "Hoog"]
    assert floor.told(floor.lena, few) == [750, 1000]
    evaluation_results.hide_few(floor.portal, floor.ada, hides=False)
    assert floor.told(floor.mark, few) == [750, 1000]


def test_pages_follow_each_other_without_gap(floor: Floor) -> None:
    made = [floor.released("anna", tone).id for tone in TONES]
    found: list[str] = []
    cursor = None
    for _ in range(4):
        page = evaluation_results.of_others(floor.portal, floor.lena, limit=2, cursor=cursor)
        found += [each.id for each in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert found == made[::-1]
    for wrong in (0, evaluation_results.RESULTS_MAX + 1):
        with pytest.raises(Refused, match="limit"):
            evaluation_results.of_others(floor.portal, floor.lena, limit=wrong)
    with pytest.raises(Refused):
        evaluation_results.of_others(floor.portal, floor.lena, cursor="x")
