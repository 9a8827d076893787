"""Evaluation forms: what JSON describes one, and what is refused by its place."""

from __future__ import annotations

import copy
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.errors import Refused
from archive.evaluation import PERFECT
from archive.evaluation_form import (
    CATEGORIES_MAX,
    CATEGORY_CHARS_MAX,
    CHOICES_MAX,
    QUESTION_CHARS_MAX,
    QUESTIONS_MAX,
    SECTIONS_MAX,
    TITLE_CHARS_MAX,
    WEIGHT_MAX,
    Category,
    Choice,
    CommentRule,
    Condition,
    Question,
    QuestionKind,
    category_of,
    document_of,
    read,
    read_categories,
)

DOCUMENT: dict[str, Any] = {
    "sections": [
        {
            "title": "Begin",
            "questions": [
                {"id": "greeting", "text": "Noemt de naam?", "kind": "yes-no", "weight": 3, "fatal": True},
                {"id": "tone", "text": "Toon", "kind": "scale", "steps": 4, "skippable": True},
            ],
        },
        {
            "title": "Afloop",
            "questions": [
                {
                    "id": "offer",
                    "text": "Aanbod",
                    "kind": "choice",
                    "choices": [{"text": "Geen", "points": 0}, {"text": "Half", "points": 4}, {"text": "Heel", "points": 8}],
                    "comment": "low",
                    "when": {"question": "tone", "values": [3, 4]},
                }
            ],
        },
    ]
}  # fmt: skip


def question(**changes: Any) -> dict[str, Any]:
    return {"id": "q", "text": "Goed?", "kind": "yes-no", **changes}


def one(**changes: Any) -> dict[str, Any]:
    return {"sections": [{"title": "Alles", "questions": [question(**changes)]}]}


def many(count: int) -> dict[str, Any]:
    return {"sections": [{"title": "Alles", "questions": [question(id=f"q{n}") for n in range(count)]}]}


def test_a_form_is_read_and_written_back_the_same() -> None:
    form = read(DOCUMENT)
    assert read(document_of(form)) == form
    assert [each.id for each in form.questions] == ["greeting", "tone", "offer"]
    offer = form.question("offer")
    assert offer == Question(
        "offer",
        "Aanbod",
        QuestionKind.CHOICE,
        choices=(Choice("Geen", 0), Choice("Half", 4), Choice("Heel", 8)),
        comment=CommentRule.LOW,
        when=Condition("tone", (3, 4)),
    )
    assert form.question("other") is None


def test_an_answer_is_worth_a_fraction_of_its_question() -> None:
    greeting, tone, offer = read(DOCUMENT).questions
    assert greeting.values == (1, 0)
    assert [greeting.worth(value) for value in greeting.values] == [Fraction(1), Fraction(0)]
    assert [tone.worth(value) for value in tone.values] == [0, Fraction(1, 3), Fraction(2, 3), 1]
    assert [offer.worth(value) for value in offer.values] == [0, Fraction(1, 2), 1]


def test_every_limit_holds_at_it_and_not_above() -> None:
    wrong: Any
    sections: Any
    assert len(read(many(QUESTIONS_MAX)).questions) == QUESTIONS_MAX
    section = one()["sections"][0]
    sections = [{**section, "questions": [question(id=f"q{n}")]} for n in range(SECTIONS_MAX + 1)]
    assert len(read({"sections": sections[:-1]}).sections) == SECTIONS_MAX
    choices = [{"text": str(n), "points": n} for n in range(CHOICES_MAX + 1)]
    assert len(read(one(kind="choice", choices=choices[:-1])).questions[0].values) == CHOICES_MAX
    assert read(one(weight=WEIGHT_MAX, text="x" * QUESTION_CHARS_MAX)).questions[0].weight == WEIGHT_MAX
    for wrong in (
        many(QUESTIONS_MAX + 1),
        {"sections": sections},
        one(kind="choice", choices=choices),
        one(weight=WEIGHT_MAX + 1),
        one(weight=0),
        one(text="x" * (QUESTION_CHARS_MAX + 1)),
        {"sections": [{**section, "title": "x" * (TITLE_CHARS_MAX + 1)}]},
        one(kind="scale", steps=1),
        one(kind="scale", steps=10),
    ):
        with pytest.raises(Refused):
            read(wrong)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], "/: it is an object"),
        ({}, "/sections: it has 1 to"),
        ({"sections": 3}, "/sections: it is a list"),
        ({"sections": [{"title": "Leeg", "questions": []}]}, "/sections/0: it has 1 to"),
        (one(text=" "), "/sections/0/questions/0/text"),
        (one(text="a\x00b"), "/sections/0/questions/0/text"),
        (one(kind="stars"), "/sections/0/questions/0/kind"),
        (one(kind=None), "/sections/0/questions/0/kind"),
        (one(id="Één"), "/sections/0/questions/0/id"),
        (one(id=7), "/sections/0/questions/0/id"),
        (one(weight=True), "/sections/0/questions/0/weight"),
        (one(fatal="yes"), "/sections/0/questions/0/fatal"),
        (one(comment="maybe"), "/sections/0/questions/0/comment"),
        (one(choices=[{"text": "a", "points": 1}]), "only a choice has choices"),
        (one(kind="choice", choices=[{"text": "a", "points": 1}]), "2 to 9 choices"),
        (one(kind="choice", choices=[{"text": "a", "points": 1}] * 2), "judge nothing"),
        (one(when={"question": "q", "values": [1]}), "does not stand before it"),
        (one(when={"question": "q", "values": []}), "/when"),
        (one(when={"question": "q", "values": ["1"]}), "/when/values"),
        (one(when=[1]), "/when: it is an object"),
    ],
)
def test_what_is_no_form_is_refused_and_says_where(document: Any, told: str) -> None:
    with pytest.raises(Refused, match=told):
        read(document)


def test_a_question_waits_only_for_an_answer_that_one_before_it_takes() -> None:
    later = copy.deepcopy(DOCUMENT)
    later["sections"].reverse()
    with pytest.raises(Refused, match="does not stand before it"):
        read(later)
    other = copy.deepcopy(DOCUMENT)
    other["sections"][1]["questions"][0]["when"] = {"question": "tone", "values": [5]}
    with pytest.raises(Refused, match="does not take"):
        read(other)
    twice = copy.deepcopy(DOCUMENT)
    twice["sections"][0]["questions"][1]["id"] = "greeting"
    with pytest.raises(Refused, match="Two questions"):
        read(twice)


GRADES = (Category("Onvoldoende", 0), Category("Voldoende", 60), Category("Goed", 85))


def grades(*begin: Any) -> dict[str, Any]:
    return {**one(), "categories": [{"name": f"c{n}", "fromPercent": each} for n, each in enumerate(begin)]}


def test_categories_are_read_and_written_back_and_none_is_the_rule() -> None:
    form = read(
        {**one(), "categories": [{"name": " Laag ", "fromPercent": 0}, {"name": "Hoog", "fromPercent": 100}]}
    )
    assert form.categories == (Category("Laag", 0), Category("Hoog", 100))
    assert read(document_of(form)) == form
    for none in (one(), {**one(), "categories": None}, {**one(), "categories": []}):
        assert read(none) == read(one())
        assert read(none).categories == ()
    assert len(read(grades(*range(CATEGORIES_MAX))).categories) == CATEGORIES_MAX
    longest = [{"name": "x" * CATEGORY_CHARS_MAX, "fromPercent": 0}, {"name": "y", "fromPercent": 1}]
    assert len(read_categories(longest)) == 2


@pytest.mark.parametrize(
    ("permille", "name"),
    [
        (0, "Onvoldoende"),
        (599, "Onvoldoende"),
        (600, "Voldoende"),
        (601, "Voldoende"),
        (849, "Voldoende"),
        (850, "Goed"),
        (1000, "Goed"),
        (None, None),
    ],
)
def test_a_category_begins_exactly_where_the_shown_score_reaches_it(
    permille: int | None, name: str | None
) -> None:
    assert category_of(GRADES, permille) == name
    assert category_of((), permille) is None


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 100), min_size=1, max_size=CATEGORIES_MAX - 1, unique=True),
    st.integers(0, PERFECT),
)
def test_every_score_has_the_one_category_between_whose_borders_it_lies(begin: list[int], score: int) -> None:
    categories = read(grades(0, *sorted(begin))).categories
    ends = [each.from_percent * 10 for each in categories[1:]] + [PERFECT + 1]
    (expected,) = (
        each.name for each, end in zip(categories, ends, strict=True) if each.from_percent * 10 <= score < end
    )
    assert category_of(categories, score) == expected


@pytest.mark.parametrize(
    ("categories", "told"),
    [
        ("x", "/categories: it is a list"),
        ([3], "/categories/0: it is an object"),
        (grades(0)["categories"], "/categories: it has 2 to 6 categories"),
        (grades(*range(CATEGORIES_MAX + 1))["categories"], "/categories: it has 2 to 6 categories"),
        (grades(1, 50)["categories"], "/categories/0/fromPercent: the lowest category begins at 0"),
        (grades(0, 60, 60)["categories"], "/categories/2/fromPercent: each category begins higher"),
        (grades(0, 60, 50)["categories"], "/categories/2/fromPercent: each category begins higher"),
        (grades(0, 101)["categories"], "/categories/1/fromPercent: it is a whole number from 0 to 100"),
        (grades(0, 59.5)["categories"], "/categories/1/fromPercent: it is a whole number"),
        (grades(None, 60)["categories"], "/categories/0/fromPercent: it is a whole number"),
        ([{"name": "Goed", "fromPercent": 0}, {"name": "GOED", "fromPercent": 5}], "/categories/1/name: two"),
        (
            [{"name": " ", "fromPercent": 0}, {"name": "b", "fromPercent": 5}],
            "/categories/0/name: it has 1 to 40",
        ),
        (
            [{"name": "x" * (CATEGORY_CHARS_MAX + 1), "fromPercent": 0}, {"name": "b", "fromPercent": 5}],
            "/categories/0/name",
        ),
        ([{"name": "a\u202eb", "fromPercent": 0}, {"name": "b", "fromPercent": 5}], "/categories/0/name"),
    ],
)
def test_what_are_no_categories_is_refused_and_says_where(categories: Any, told: str) -> None:
    with pytest.raises(Refused, match=told):
        read({**one(), "categories": categories})
