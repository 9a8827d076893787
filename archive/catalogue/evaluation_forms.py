"""Evaluation forms that are kept: a name, and versions of what is asked, of which the newest is used.

Changing what is asked, or what scores are called, makes another version; those that were used
before go on being what their evaluations are read by. A retired form is offered no more.

Rules: administrators and managers of a team make and change forms (`archive.access`); no role of
the database has the right to change a version. Not here: what a form is (`archive.evaluation_form`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from archive.access import AccessScope, may_make_forms
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.revisions import changed, expect, written
from archive.catalogue.tables import evaluation_form_versions, evaluation_forms, evaluations
from archive.errors import Conflict, NotFound, Refused
from archive.evaluation import RELEASED_STATES
from archive.evaluation_form import Category, Form, Section, document_of, read
from archive.model import new_id

NAME_CHARS_MAX = 80
"""It stands in a list and above the questions."""

FORMS_PER_TENANT_MAX = 100
"""Retired ones count. Who needs one for every kind of call has a dozen."""

VERSIONS_MAX = 500
"""A change every working day for two years; then it is time for another form."""


@dataclass(frozen=True)
class KeptForm:
    """A form in one of its versions; `newest` is the version new evaluations are made by."""

    id: str
    name: str
    version: int
    newest: int
    retired: bool
    form: Form
    revision: int


@dataclass(frozen=True)
class Version:
    """A version of a form: who made it when, and how many evaluations by it were released.

    A draft is nobody's but its maker's, so that it counts nowhere.
    """

    number: int
    made_by: str
    made_at: datetime
    evaluations: int


def of_tenant(catalogue: Catalogue, scope: AccessScope, *, retired: bool = False) -> list[KeptForm]:
    """Return the forms of the tenant by name in their newest version; with `retired` those too."""
    statement = _statement(scope).where(evaluation_form_versions.c.version == evaluation_forms.c.version)
    if not retired:
        statement = statement.where(~evaluation_forms.c.retired)
    columns = evaluation_forms.c
    with catalogue.transaction(scope.tenant_id) as connection:
        rows = connection.execute(statement.order_by(columns.retired, func.lower(columns.name), columns.id))
        return [_kept(row) for row in rows]


def get(catalogue: Catalogue, scope: AccessScope, form_id: str, version: int | None = None) -> KeptForm:
    """Return a form, in its newest version when none is named; raises NotFound."""
    with catalogue.transaction(scope.tenant_id) as connection:
        return within(connection, scope, form_id, version)


def within(connection: Connection, scope: AccessScope, form_id: str, version: int | None = None) -> KeptForm:
    """Do as `get` in the caller's transaction."""
    wanted = evaluation_forms.c.version if version is None else version
    statement = _statement(scope).where(
        evaluation_forms.c.id == form_id, evaluation_form_versions.c.version == wanted
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("There is no such evaluation form.")
    return _kept(row)


def versions(catalogue: Catalogue, scope: AccessScope, form_id: str) -> list[Version]:
    """Return the versions of a form, newest first; none where there is no such form."""
    of_form, used = evaluation_form_versions.c, evaluations.c
    uses = (
        select(func.count())
        .select_from(evaluations)
        .where(
            used.tenant_id == of_form.tenant_id,
            used.form_id == of_form.form_id,
            used.form_version == of_form.version,
            used.state.in_(sorted(RELEASED_STATES)),
        )
        .scalar_subquery()
    )
    statement = (
        select(of_form.version, of_form.made_by, of_form.made_at, uses.label("uses"))
        .where(of_form.tenant_id == scope.tenant_id, of_form.form_id == form_id)
        .order_by(of_form.version.desc())
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        return [
            Version(row.version, row.made_by, row.made_at, row.uses) for row in connection.execute(statement)
        ]


def make(catalogue: Catalogue, scope: AccessScope, name: str, form: Form, *, now: datetime) -> KeptForm:
    """Keep a new form; raises Refused for who may not or a name that can't be, Conflict for one too many."""
    _require_making(scope)
    counted = select(func.count()).select_from(evaluation_forms)
    row = {
        "id": new_id(now),
        "tenant_id": scope.tenant_id,
        "name": named(name),
        "version": 1,
        "retired": False,
        **changed(scope, now),
    }
    with catalogue.transaction(scope.tenant_id) as connection:
        if connection.execute(counted).scalar_one() >= FORMS_PER_TENANT_MAX:
            raise Conflict(f"There are {FORMS_PER_TENANT_MAX} forms already.")
        connection.execute(insert(evaluation_forms), row)
        _add_version(connection, scope, (str(row["id"]), 1), form, now)
        return within(connection, scope, str(row["id"]))


def change(
    catalogue: Catalogue,
    scope: AccessScope,
    form_id: str,
    *,
    name: str | None = None,
    form: Form | None = None,
    sections: tuple[Section, ...] | None = None,
    categories: tuple[Category, ...] | None = None,
    retired: bool | None = None,
    revision: int | None = None,
    now: datetime,
) -> KeptForm:
    """Change a form; what is None stays, and a form as it is makes no version.

    `form` is all of it, `sections` and `categories` are its parts, for who changes one alone.
    Raises NotFound, Refused for who may not, Conflict for another `revision` or too many versions.
    """
    _require_making(scope)
    with catalogue.transaction(scope.tenant_id) as connection:
        locked = select(evaluation_forms.c.id).where(evaluation_forms.c.id == form_id).with_for_update()
        connection.execute(locked)
        before = within(connection, scope, form_id)
        expect(revision, before.revision)
        values: dict[str, object] = {}
        if name is not None and named(name) != before.name:
            values["name"] = named(name)
        if retired is not None and retired != before.retired:
            values["retired"] = retired
        form = before.form if form is None else form
        form = form if sections is None else replace(form, sections=sections)
        form = form if categories is None else replace(form, categories=categories)
        if form != before.form:
            if before.newest >= VERSIONS_MAX:
                raise Conflict(f"A form has at most {VERSIONS_MAX} versions; make another form of it.")
            values["version"] = before.newest + 1
            _add_version(connection, scope, (form_id, before.newest + 1), form, now)
        if values:
            statement = update(evaluation_forms).where(evaluation_forms.c.id == form_id)
            connection.execute(statement.values({**values, **changed(scope, now)}))
        return within(connection, scope, form_id)


def named(text: str) -> str:
    """Return a name as it is kept, in one line; raises Refused."""
    return written(" ".join(text.split()), NAME_CHARS_MAX)


def _require_making(scope: AccessScope) -> None:
    if not may_make_forms(scope):
        raise Refused("Evaluation forms are made by administrators and managers of a team.")


def _add_version(
    connection: Connection, scope: AccessScope, place: tuple[str, int], form: Form, now: datetime
) -> None:
    form_id, number = place
    row = {
        "tenant_id": scope.tenant_id,
        "form_id": form_id,
        "version": number,
        "content": document_of(form),
        "made_by": scope.actor,
        "made_at": now,
    }
    connection.execute(insert(evaluation_form_versions), row)


def _statement(scope: AccessScope) -> Any:
    forms, of_form = evaluation_forms.c, evaluation_form_versions.c
    return (
        select(evaluation_forms, of_form.version.label("shown"), of_form.content)
        .join(
            evaluation_form_versions,
            (of_form.form_id == forms.id) & (of_form.tenant_id == forms.tenant_id),
        )
        .where(forms.tenant_id == scope.tenant_id)
    )


def _kept(row: Row[Any]) -> KeptForm:
    return KeptForm(
        id=row.id,
        name=row.name,
        version=row.shown,
        newest=row.version,
        retired=row.retired,
        form=read(row.content),
        revision=row.revision,
    )
