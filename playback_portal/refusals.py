"""What a person is told when something is refused or broken: what, who can solve it, what to do now.

Problems are written for programs, in English. For people each status has a sentence of its
own, and a problem whose detail is a message of the catalogue adds it, translated.

Rules: pure. Nothing that the request contained is repeated, and no English is shown to
who reads Dutch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from http import HTTPStatus

from playback_portal.language import Language, mark, translated
from playback_portal.problems import Problem


@dataclass(frozen=True)
class Explanation:
    """A refusal in words: `label` above the title, `solver` is who can do something about it."""

    label: str
    title: str
    text: str
    solver: str = ""


EXPLANATIONS = {
    HTTPStatus.BAD_REQUEST: Explanation(
        mark("Not understood"),
        mark("This address or form is not right"),
        mark("Something in it is missing or has another form than we expect. Nothing was changed."),
        mark("You: go back and try again"),
    ),
    HTTPStatus.FORBIDDEN: Explanation(
        mark("No access"),
        mark("You may not see or do this"),
        mark("Your role does not include it. Nothing was changed."),
        mark("The administrator of your organisation"),
    ),
    HTTPStatus.NOT_FOUND: Explanation(
        mark("Not found"),
        mark("We can't find this"),
        mark("It does not exist, it was deleted, or it is not yours to see."),
        mark("Whoever gave you the address"),
    ),
    HTTPStatus.CONFLICT: Explanation(
        mark("Not possible now"),
        mark("This can't be done now"),
        mark("It is no longer as your page shows it, or its state does not allow it. Nothing was changed."),
        mark("You: load the page again and look how it is now"),
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Explanation(
        mark("Too large"),
        mark("What you sent is too large"),
        mark("A file or text has at most 1 MB. Nothing was changed."),
        mark("You: go back and send something smaller"),
    ),
    HTTPStatus.TOO_MANY_REQUESTS: Explanation(
        mark("Too many requests"),
        mark("That was too much at once"),
        mark("Wait a moment and try again."),
        mark("You: wait a moment"),
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: Explanation(
        mark("Away for a moment"),
        mark("A part of the service is away"),
        mark("Calls are still being recorded. Nothing was changed. Try again in a minute."),
        mark("The operator, who sees this too"),
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: Explanation(
        mark("Our mistake"),
        mark("Something went wrong on our side"),
        mark("Recordings are safe. Give the operator the reference; it leads to what happened."),
        mark("The operator"),
    ),
}
"""By status; others are explained as the first of their hundred: 400 or 500."""

ALIKE = {
    HTTPStatus.GONE: HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: HTTPStatus.NOT_FOUND,
    HTTPStatus.PRECONDITION_FAILED: HTTPStatus.CONFLICT,
    HTTPStatus.LOCKED: HTTPStatus.CONFLICT,
    HTTPStatus.BAD_GATEWAY: HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT: HTTPStatus.SERVICE_UNAVAILABLE,
}


def explanation_of(language: Language, problem: Problem) -> Explanation:
    """Return what a person is told of a problem, in their language."""
    found = EXPLANATIONS.get(ALIKE.get(problem.status, problem.status))
    if found is None:
        own = problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        found = EXPLANATIONS[HTTPStatus.INTERNAL_SERVER_ERROR if own else HTTPStatus.BAD_REQUEST]
    told = Explanation(*(translated(language, text) if text else "" for text in _texts(found)))
    detail = _detail(language, problem)
    return replace(told, text=detail) if detail else told


def _texts(explanation: Explanation) -> tuple[str, ...]:
    return explanation.label, explanation.title, explanation.text, explanation.solver


def _detail(language: Language, problem: Problem) -> str:
    """Return the detail where it is written for people: in the catalogue, so in Dutch too."""
    known = translated(Language.DUTCH, problem.detail) != problem.detail
    return translated(language, problem.detail) if known else ""
