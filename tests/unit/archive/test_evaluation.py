"""Scores obey their laws for any form and any answers; an evaluation goes only where its table leads."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from archive.errors import Conflict, Refused
from archive.evaluation import (
    ANSWER_COMMENT_CHARS_MAX,
    PERFECT,
    RELEASED_STATES,
    TABLE,
    Answer,
    Event,
    Lack,
    State,
    after,
    asked,
    lacks,
    require_fit,
    score,
)
from archive.evaluation_form import (
    WEIGHT_MAX,
    Choice,
    CommentRule,
    Condition,
    Form,
    Question,
    QuestionKind,
    Section,
    document_of,
    read,
)

LAWS = settings(max_examples=40, deadline=None)


@st.composite
def questions(draw: st.DrawFn, number: int, *, fatal: bool) -> Question:
    kind = draw(st.sampled_from(QuestionKind))
    # One more than none and the rest anything: never all the same, which would judge nothing.
    points = [0, 9, *draw(st.lists(st.integers(0, 9), max_size=7))]
    return Question(
        id=f"q{number}",
        text="Goed?",
        kind=kind,
        weight=draw(st.integers(1, 20)),
        steps=draw(st.integers(2, 9)) if kind is QuestionKind.SCALE else 5,
        choices=tuple(Choice(f"c{n}", each) for n, each in enumerate(points))
        if kind is QuestionKind.CHOICE
        else (),
        skippable=draw(st.booleans()),
        fatal=fatal and draw(st.booleans()),
        comment=draw(st.sampled_from(CommentRule)),
    )


@st.composite
def forms(draw: st.DrawFn, *, fatal: bool = False, conditions: bool = False) -> Form:
    count = draw(st.integers(1, 8))
    every = [draw(questions(number, fatal=fatal)) for number in range(count)]
    if conditions:
        for number in range(1, count):
            if draw(st.booleans()):
                on = every[draw(st.integers(0, number - 1))]
                values = tuple(sorted(draw(st.sets(st.sampled_from(on.values), min_size=1))))
                every[number] = replace(every[number], when=Condition(on.id, values))
    cut = draw(st.integers(0, count))
    parts = [part for part in (every[:cut], every[cut:]) if part]
    return Form(tuple(Section(f"s{n}", tuple(part)) for n, part in enumerate(parts)))


@st.composite
def answered(draw: st.DrawFn, form: Form, *, skips: bool = True) -> dict[str, Answer]:
    found = {}
    for question in form.questions:
        offered: list[int | None] = [*question.values]
        if question.skippable and skips:
            offered.append(None)
        found[question.id] = Answer(draw(st.sampled_from(offered)), draw(st.integers(0, 9000)))
    return found


def best(question: Question) -> Answer:
    return Answer(max(question.values, key=question.worth))


def worst(question: Question) -> Answer:
    return Answer(min(question.values, key=question.worth))


@LAWS
@given(forms(fatal=True, conditions=True))
def test_the_best_answers_to_everything_are_perfect(form: Form) -> None:
    assert score(form, {each.id: best(each) for each in form.questions}).permille == PERFECT


@LAWS
@given(forms())
def test_the_worst_answers_to_everything_are_nothing(form: Form) -> None:
    assert score(form, {each.id: worst(each) for each in form.questions}).permille == 0


@LAWS
@given(st.data())
def test_only_what_is_perfect_is_perfect(data: st.DataObject) -> None:
    form = data.draw(forms(fatal=True))
    answers = data.draw(answered(form, skips=False))
    is_best = all(each.worth(answers[each.id].value or 0) == 1 for each in form.questions)
    assert (score(form, answers).permille == PERFECT) == is_best


@LAWS
@given(st.data())
def test_a_score_is_between_nothing_and_perfect_and_none_only_where_nothing_applies(
    data: st.DataObject,
) -> None:
    form = data.draw(forms(fatal=True, conditions=True))
    answers = data.draw(answered(form))
    found = score(form, answers)
    applies = any(answers[each.id].value is not None for each in asked(form, answers))
    assert (found.permille is not None) == applies
    assert found.permille is None or 0 <= found.permille <= PERFECT
    assert len(found.sections) == len(form.sections)


@LAWS
@given(st.data())
def test_what_does_not_apply_scores_as_a_form_without_it(data: st.DataObject) -> None:
    form = data.draw(forms(fatal=True))
    answers = data.draw(answered(form))
    left_out = data.draw(st.sampled_from(form.questions))
    without = tuple(
        Section(each.title, tuple(one for one in each.questions if one != left_out)) for each in form.sections
    )
    shorter = score(Form(without), answers)
    assert score(form, {**answers, left_out.id: Answer(None)}) == shorter


@LAWS
@given(st.data())
def test_the_worst_answer_to_a_fatal_question_makes_all_of_it_nothing(data: st.DataObject) -> None:
    form = data.draw(forms(fatal=True))
    fatal = [each for each in form.questions if each.fatal]
    assume(fatal)
    answers = data.draw(answered(form))
    found = score(form, {**answers, fatal[0].id: worst(fatal[0])})
    assert found.permille == 0
    assert fatal[0].id in found.failed_by


@LAWS
@given(st.data(), st.integers(1, WEIGHT_MAX // 20))
def test_weights_count_only_beside_each_other(data: st.DataObject, times: int) -> None:
    form = data.draw(forms(fatal=True, conditions=True))
    answers = data.draw(answered(form))
    heavier = Form(
        tuple(
            Section(each.title, tuple(replace(one, weight=one.weight * times) for one in each.questions))
            for each in form.sections
        )
    )
    assert score(heavier, answers) == score(form, answers)


@LAWS
@given(st.data())
def test_a_better_answer_never_lowers_a_score(data: st.DataObject) -> None:
    form = data.draw(forms(fatal=True))
    answers = data.draw(answered(form, skips=False))
    question = data.draw(st.sampled_from(form.questions))
    before = question.worth(answers[question.id].value or 0)
    better = data.draw(st.sampled_from([each for each in question.values if question.worth(each) >= before]))
    now = score(form, {**answers, question.id: Answer(better)}).permille
    was = score(form, answers).permille
    assert was is not None
    assert now is not None
    assert now >= was


@LAWS
@given(st.data())
def test_order_of_sections_offsets_and_comments_count_for_nothing(data: st.DataObject) -> None:
    form = data.draw(forms(fatal=True))
    answers = data.draw(answered(form))
    other = {name: replace(each, at_ms=each.at_ms + 1, comment="Anders") for name, each in answers.items()}
    turned = Form(form.sections[::-1])
    assert score(turned, other).permille == score(form, answers).permille


@LAWS
@given(st.data())
def test_answers_to_what_is_not_asked_count_for_nothing(data: st.DataObject) -> None:
    form = data.draw(forms(fatal=True, conditions=True))
    answers = data.draw(answered(form))
    shown = {each.id for each in asked(form, answers)}
    only = {name: each for name, each in answers.items() if name in shown}
    assert score(form, only) == score(form, answers)
    assert asked(form, only) == asked(form, answers)


@LAWS
@given(forms(fatal=True, conditions=True))
def test_every_form_is_read_back_as_it_was_written(form: Form) -> None:
    assert read(document_of(form)) == form


@LAWS
@given(st.data())
def test_what_is_answered_one_by_one_lacks_nothing_in_the_end(data: st.DataObject) -> None:
    """However conditions show and hide questions: answering what is lacked first comes to an end."""
    form = data.draw(forms(conditions=True))
    answers: dict[str, Answer] = {}
    for _ in range(2 * len(form.questions) + 1):
        lacked = lacks(form, answers)
        if not lacked:
            break
        first = form.question(lacked[0].question)
        assert first is not None
        given_before = answers.get(first.id)
        value = data.draw(st.sampled_from(first.values)) if given_before is None else given_before.value
        answers[first.id] = Answer(value, comment="Waarom" if lacked[0].is_comment else "")
        require_fit(form, first.id, answers[first.id])
    assert lacks(form, answers) == ()


NAME = Question("name", "Naam?", QuestionKind.YES_NO, fatal=True)
TONE = Question("tone", "Toon", QuestionKind.SCALE, weight=3, skippable=True, comment=CommentRule.LOW)
WHY = Question("why", "Waarom niet?", QuestionKind.YES_NO, when=Condition("name", (0,)))
FORM = Form((Section("Begin", (NAME, TONE)), Section("Verder", (WHY,))))


def test_a_score_by_hand() -> None:
    answers = {"name": Answer(1), "tone": Answer(3)}
    found = score(FORM, answers)
    # (1 x 1 + 3 x 2/4) / 4
    assert (found.permille, found.failed_by, found.sections) == (625, (), (625, None))
    failed = score(FORM, {"name": Answer(0), "tone": Answer(5), "why": Answer(1)})
    assert (failed.permille, failed.failed_by, failed.sections) == (0, ("name",), (750, 1000))
    assert score(FORM, {}).permille is None


def test_what_is_lacked_comes_in_the_order_of_the_form() -> None:
    assert lacks(FORM, {}) == (Lack("name"), Lack("tone"))
    assert lacks(FORM, {"name": Answer(0), "tone": Answer(2)}) == (Lack("tone", is_comment=True), Lack("why"))
    assert lacks(FORM, {"name": Answer(1), "tone": Answer(None)}) == (Lack("tone", is_comment=True),)
    assert lacks(FORM, {"name": Answer(1), "tone": Answer(5)}) == ()
    assert lacks(FORM, {"name": Answer(1), "tone": Answer(2, comment="Te vlug")}) == ()


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("other", Answer(1)),
        ("name", Answer(None)),
        ("name", Answer(2)),
        ("tone", Answer(0)),
        ("tone", Answer(6)),
        ("tone", Answer(1, at_ms=-1)),
        ("tone", Answer(1, comment="x" * (ANSWER_COMMENT_CHARS_MAX + 1))),
    ],
)
def test_an_answer_the_form_does_not_take_is_refused(question: str, answer: Answer) -> None:
    with pytest.raises(Refused):
        require_fit(FORM, question, answer)


def test_a_comment_of_the_greatest_length_is_taken() -> None:
    require_fit(FORM, "tone", Answer(None, comment="x" * ANSWER_COMMENT_CHARS_MAX))


def test_an_evaluation_goes_where_its_table_leads_and_nowhere_else() -> None:
    for state, event in itertools.product(State, Event):
        if (state, event) in TABLE:
            assert after(state, event) is TABLE[state, event]
        else:
            with pytest.raises(Conflict, match=state):
                after(state, event)


def test_what_was_released_never_goes_back_out_of_sight() -> None:
    assert all(TABLE[state, event] in RELEASED_STATES for state, event in TABLE if state in RELEASED_STATES)
    ways_in = {
        event for (state, event), to in TABLE.items() if to in RELEASED_STATES and state is State.DRAFT
    }
    assert ways_in == {Event.RELEASE}
