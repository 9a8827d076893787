"""A tenant of its own for tests of evaluations: a team, a form, and a call of Anna that Lena may evaluate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from aiohttp.test_utils import TestClient

from archive.access import Right
from archive.catalogue import directory, teams
from archive.catalogue.directory import Capacity
from archive.model import Recording
from tests.annotation_desk import NOW, Desk

SECTIONS: list[dict[str, Any]] = [
    {
        "title": "Begin",
        "questions": [
            {"id": "name", "text": "Noemt de naam?", "kind": "yes-no", "fatal": True},
            {"id": "tone", "text": "Toon", "kind": "scale", "weight": 3, "skippable": True, "comment": "low"},
        ],
    },
    {
        "title": "Afloop",
        "questions": [
            {
                "id": "offer",
                "text": "Aanbod",
                "kind": "choice",
                "choices": [{"text": "Geen", "points": 0}, {"text": "Passend", "points": 5}],
                "when": {"question": "name", "values": [1]},
            }
        ],
    },
]


CATEGORIES = [
    {"name": "Laag", "fromPercent": 0},
    {"name": "=Midden", "fromPercent": 70},
    {"name": "<b>Hoog", "fromPercent": 71},
]
"""Their borders are beside the 70.0 % that a middling tone comes to; their names try to be more than text."""


class EvaluationDesk(Desk):
    """Bert listens to Anna with the right to evaluate, Mark manages the team, Dora only hears her."""

    def __init__(self, client: TestClient[Any, Any], house: Any, archive: Callable[..., Recording]) -> None:
        super().__init__(client, house, archive)
        early = NOW - timedelta(days=2)
        self.team_id = directory.add_team(house.operator, self.tenant.id, "Sales", now=early)
        for login in ("mark", "dora"):
            user = directory.add_user(house.operator, self.tenant.id, login, now=NOW, access="none")
            self.people[login] = user
            self._key(login, user_id=user.id)
        where = (house.operator, self.tenant.id)
        for login, capacity in (
            ("anna", Capacity.CONTRIBUTOR),
            ("bert", Capacity.LISTENER),
            ("mark", Capacity.MANAGER),
        ):
            teams.enter(*where, self.team_id, self.people[login].id, capacity, now=early)
        teams.change(*where, self.team_id, rights={Right.EVALUATE: True})
        other = directory.add_team(house.operator, self.tenant.id, "Quality", now=early)
        for login, capacity in (("anna", Capacity.CONTRIBUTOR), ("dora", Capacity.LISTENER)):
            teams.enter(*where, other, self.people[login].id, capacity, now=early)

    async def made(self, method: str, path: str, who: str, body: Any = None, status: int = 201) -> Any:
        """Return what a change answers, which has this status."""
        answer = await self.ask(method, path, who, body)
        assert answer.status == status, await answer.text()
        return await answer.json(content_type=None)

    async def new_form(self, name: str = "Gesprek", sections: Any = SECTIONS, **more: Any) -> Any:
        """Make a form."""
        body = {"name": name, "sections": sections, **more}
        return await self.made("POST", "/v1/evaluation-forms", "ada", body)

    async def released(self, form: Any = None, **answers: Any) -> Any:
        """Return an evaluation of the recording that Bert made and released, by this form or a new one."""
        form = form or await self.new_form()
        begun = await self.made("POST", "evaluations", "bert", {"formId": form["id"]})
        given = {"name": {"value": 1}, "tone": {"value": 5}, "offer": {"value": 2}, **answers}
        await self.made("PATCH", f"evaluations/{begun['id']}", "bert", {"answers": given}, 200)
        return await self.made("POST", f"evaluations/{begun['id']}/releases", "bert")
