"""Evaluations in the house of the browser tests: a form of every kind of question, results, a dispute, a sample.

Mark, who listens to the team, makes them; of Sanne enough for an average, of Daan fewer. The call
with Jansen is left as it is, for the tests that evaluate one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from archive.access import AccessScope, Right
from archive.allowance import ZONE
from archive.catalogue import evaluation_results, rights
from tests.behaviour.customer import operating
from tests.browser.house import BEHEER, DAAN, JANSEN, MARK, SALES, SANNE, House

FORM = "Klantgesprek"
SECTIONS: list[dict[str, Any]] = [
    {
        "title": "Begin",
        "questions": [
            {
                "id": "name",
                "text": "Noemt de eigen naam en die van het bedrijf?",
                "kind": "yes-no",
                "fatal": True,
            },
            {
                "id": "tone",
                "text": "Hoe vriendelijk is de toon?",
                "kind": "scale",
                "weight": 3,
                "comment": "low",
            },
        ],
    },
    {
        "title": "Afloop",
        "questions": [
            {
                "id": "offer",
                "text": "Welk aanbod is gedaan?",
                "kind": "choice",
                "weight": 2,
                "skippable": True,
                "choices": [
                    {"text": "Geen", "points": 0},
                    {"text": "Een aanbod, maar niet passend", "points": 2},
                    {"text": "Passend", "points": 5},
                ],
            },
            {
                "id": "recap",
                "text": "Vat de afspraak samen?",
                "kind": "yes-no",
                "when": {"question": "offer", "values": [2, 3]},
            },
        ],
    },
]
CATEGORIES: list[dict[str, Any]] = [
    {"name": "Onvoldoende", "fromPercent": 0},
    {"name": "Voldoende", "fromPercent": 60},
    {"name": "Goed", "fromPercent": 85},
]
GOOD: dict[str, Any] = {
    "name": {"value": 1, "atMs": 600},
    "tone": {"value": 4, "atMs": 1500, "comment": "Rustig, maar praat er soms doorheen."},
    "offer": {"value": 3, "atMs": 2600},
    "recap": {"value": 1, "atMs": 3100},
}
FAILED: dict[str, Any] = {
    "name": {"value": 0, "atMs": 600},
    "tone": {"value": 2, "atMs": 900, "comment": "Kortaf tegen iemand die een klacht heeft."},
    "offer": {"value": None, "atMs": 2000},
}


def judge_some(house: House) -> None:
    """Let Mark evaluate calls of Sanne and one of Daan, the first of them disputed, the last a draft; draw a sample."""
    made = house.says(
        None, "POST", "/v1/evaluation-forms", name=FORM, sections=SECTIONS, categories=CATEGORIES
    )
    with operating(house.service) as catalogue:
        rights.set_rights(catalogue, house.tenant_id, house.ids[MARK.login], {Right.EVALUATE: True})
    boss = AccessScope(
        house.tenant_id, f"user:{house.ids[BEHEER.login]}", BEHEER.role, house.ids[BEHEER.login]
    )
    with operating(house.service, "portal") as catalogue:
        evaluation_results.hide_few(catalogue, boss, hides=True)
    *judged, unfinished = [
        each
        for each in house.recordings
        if each["owner"] == house.ids[SANNE.login] and JANSEN not in str(each["parties"])
    ]
    answers = [FAILED, *[GOOD] * len(judged)]
    seen = [_released(house, each, made["id"], given) for each, given in zip(judged, answers, strict=False)]
    of_daan = next(each for each in house.recordings if each["owner"] == house.ids[DAAN.login])
    _released(house, of_daan, made["id"], GOOD)
    objection = "Ik noemde mijn naam wel, na twee seconden."
    house.says(SANNE, "POST", f"{_path(judged[0])}/{seen[0]}/disputes", text=objection)
    draft = house.says(MARK, "POST", _path(unfinished), formId=made["id"])
    house.says(
        MARK,
        "PATCH",
        f"{_path(unfinished)}/{draft['id']}",
        answers={name: GOOD[name] for name in ("name", "tone")},
    )
    house.evaluations |= {
        "form": made["id"],
        "disputed": seen[0],
        "released": seen[1],
        "call": judged[0]["id"],
        "draft": unfinished["id"],
    }
    began = datetime.fromisoformat(house.recording_with(JANSEN)["startedAt"]).astimezone(ZONE)
    house.evaluations["sample"] = house.says(
        MARK,
        "POST",
        "/v1/evaluation-samples",
        teamId=house.teams[SALES],
        formId=made["id"],
        month=f"{began:%Y-%m}",
        perPerson=3,
    )["id"]


def _path(call: dict[str, Any]) -> str:
    return f"/v1/recordings/{call['id']}/evaluations"


def _released(house: House, call: dict[str, Any], form_id: str, given: dict[str, Any]) -> str:
    made = house.says(MARK, "POST", _path(call), formId=form_id)
    one = f"{_path(call)}/{made['id']}"
    house.says(MARK, "PATCH", one, answers=given)
    house.says(MARK, "POST", f"{one}/releases")
    return str(made["id"])
