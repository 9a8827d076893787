"""Why an evaluation form can't be kept, in words for who makes it: where, what, and which field to mend.

Rules: pure. Each rule a page can break has its message here; what only a program breaks is told
in the words of the archive (`archive.evaluation_form.FormFault`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from archive.evaluation_form import FormFault, Rule
from playback_portal.language import Language, mark, translated

MESSAGES: Final = {
    Rule.TEXT: mark("Write 1 to %(most)s characters here."),
    Rule.NUMBER: mark("This is a whole number from %(least)s to %(most)s."),
    Rule.SECTIONS: mark("A form has %(least)s to %(most)s sections."),
    Rule.QUESTIONS: mark("There are to be %(least)s to %(most)s questions."),
    Rule.CHOICES: mark("There are to be %(least)s to %(most)s choices, one a line."),
    Rule.ALIKE: mark("All choices have the same points. Give the best one the most."),
    Rule.CONDITION: mark("Say after which answers it is asked."),
    Rule.DIGITS: mark("Answers are digits with commas between them, such as 1, 2."),
    Rule.BEFORE: mark("The question it waits for has to stand before it."),
    Rule.CATEGORIES: mark("Give %(least)s to %(most)s categories, or none at all."),
    Rule.LOWEST: mark("The lowest category begins at 0."),
    Rule.ASCENDING: mark("Two categories begin at the same score."),
    Rule.NAMESAKE: mark("Two categories have the same name."),
    Rule.ANSWER: mark("The question it waits for does not take that answer."),
}
POINTS: Final = mark("Each choice ends with its points from %(least)s to %(most)s, such as: Good offer = 5.")
NAME: Final = mark("Write 1 to %(most)s characters here.")
OTHERWISE: Final = mark("The form can't be kept like this.")

_PLACE: Final = re.compile(r"/sections(?:/(\d+)(?:/questions/(\d+))?)?(?:/([a-z]+).*)?")
_CATEGORY: Final = re.compile(r"/categories(?:/(\d+)/(name|from)(?:Percent)?)?")

_FIELD_OF: Final = {"when": "values"}
"""What is wrong with a condition is mended where its answers stand."""

_FIELD_OF_RULE: Final = {Rule.CHOICES: "choices", Rule.ALIKE: "choices"}


@dataclass(frozen=True)
class ToldFault:
    """A fault in words: the field it is mended in, "" for none; where that is; and what is wrong."""

    field: str
    where: str
    what: str

    @property
    def anchor(self) -> str:
        """The id of the field on the page."""
        return "f-name" if self.field == "name" else self.field.replace(".", "-")


def of_name(language: Language, chars_max: int) -> ToldFault:
    """Return the fault of a name that can't be."""
    return ToldFault("name", "", translated(language, NAME) % {"most": chars_max})


def told(fault: FormFault, language: Language) -> ToldFault:
    """Return a fault of a form in a language."""
    of_category = _CATEGORY.fullmatch(fault.place)
    if of_category is not None:
        return _of_category(fault, language, of_category)
    found = _PLACE.fullmatch(fault.place)
    section, question, member = found.groups() if found else (None, None, None)
    what = _what(fault, language)
    if section is None:
        return ToldFault("", "", what)
    if question is None:
        where = translated(language, mark("Section %(number)s")) % {"number": int(section) + 1}
        return ToldFault(f"s{section}.title", where, what)
    number = f"{int(section) + 1}.{int(question) + 1}"
    where = translated(language, mark("Question %(number)s")) % {"number": number}
    field = _FIELD_OF_RULE.get(fault.rule) or _FIELD_OF.get(member or "", member or "text")
    return ToldFault(f"s{section}.q{question}.{field}", where, what)


def _of_category(fault: FormFault, language: Language, found: re.Match[str]) -> ToldFault:
    number, member = int(found[1] or 0), found[2] or "name"
    where = translated(language, mark("Category %(number)s")) % {"number": number + 1}
    return ToldFault(f"c{number}.{member}", where, _what(fault, language))


def _what(fault: FormFault, language: Language) -> str:
    message = POINTS if fault.place.endswith("/points") else MESSAGES.get(fault.rule, OTHERWISE)
    return translated(language, message) % {"least": fault.least, "most": fault.most}
