"""`earwitness user licences`, `licence-preview`, `minutes`: what a licence was, would do and allows."""

from __future__ import annotations

import argparse
from datetime import date, datetime
from typing import Any

from archive.allowance import cap_s, end_of, month_of
from archive.catalogue import directory, licences, minutes
from archive.cli.operator import Operator
from archive.cli.outcome import DONE, Row, print_row, print_rows
from archive.errors import NotFound, Refused
from archive.model import RetentionClass, Tenant, User
from archive.roster import NONE, licence_of

ACTIONS = ("licences", "licence-preview", "minutes")
WORDS = (*(str(each) for each in RetentionClass), NONE)


def add_actions(actions: Any) -> None:
    """Add the actions of this module to those of `earwitness user`."""
    history = actions.add_parser(
        "licences",
        help="the licences of a person with their dates",
        epilog="example: earwitness user licences anna@jansen.example",
    )
    preview = actions.add_parser(
        "licence-preview",
        help="what another licence would change; changes nothing",
        epilog="example: earwitness user licence-preview anna@jansen.example 7y-1000",
    )
    used = actions.add_parser(
        "minutes",
        help="recorded time of a person in a month",
        epilog="example: earwitness user minutes anna@jansen.example --month 2026-11",
    )
    for each in (history, preview, used):
        each.add_argument("login", metavar="LOGIN@DOMAIN", help="sign-in name and the customer's domain")
    preview.add_argument("licence", metavar="LICENCE", choices=WORDS, help=f"one of {', '.join(WORDS)}")
    used.add_argument(
        "--month", type=_month, metavar="YYYY-MM", help="of Europe/Amsterdam (default: this month)"
    )


def run(acting: Operator, options: argparse.Namespace) -> int:
    """Run one of ACTIONS."""
    user, tenant = person(acting, options.login)
    match options.action:
        case "licences":
            print_rows(_history(acting, user), as_json=options.json)
        case "licence-preview":
            _print_preview(acting, user, licence_of(options.licence), as_json=options.json)
        case _:
            print_row(_minutes(acting, user, tenant, options.month), as_json=options.json)
    return DONE


def person(acting: Operator, login: str, within: Tenant | None = None) -> tuple[User, Tenant]:
    """Return a person named LOGIN@DOMAIN and their tenant; raises NotFound, Refused.

    Raises NotFound as well for one who is not of the tenant `within`.
    """
    name, at, domain = login.strip().lower().rpartition("@")
    if not at:
        raise Refused(f"{login!r} is not LOGIN@DOMAIN, for instance anna@jansen.example.")
    tenant = directory.tenant_by_domain(acting.catalogue, domain)
    if within is not None and tenant.id != within.id:
        raise NotFound(f"{domain} is not the domain of this tenant, which is {within.domain}.")
    for user in directory.list_users(acting.catalogue, tenant.id):
        if user.login == name:
            return user, tenant
    raise NotFound(f"There is no user {name!r} in this tenant.")


def _history(acting: Operator, user: User) -> list[Row]:
    return [
        {
            "licence": _word(each.licence),
            "validFrom": each.valid_from.isoformat(),
            "validUntil": None if each.valid_until is None else each.valid_until.isoformat(),
        }
        for each in licences.history(acting.catalogue, user.tenant_id, user.id)
    ]


def _print_preview(acting: Operator, user: User, licence: RetentionClass | None, *, as_json: bool) -> None:
    now = acting.clock.now()
    preview = licences.preview(acting.catalogue, user.tenant_id, user.id, licence, now=now)
    kept = [
        f"{each.count} of {each.retention_class} until {each.retain_until.date().isoformat()}"
        for each in preview.kept
    ]
    row: Row = {
        "before": _word(preview.before),
        "after": _word(preview.after),
        "countsFrom": preview.counts_from.isoformat(),
        "kept": kept,
        "usedSeconds": preview.used_s,
        "capSeconds": preview.cap_s,
        "aboveCap": preview.above_cap,
        "obstacle": preview.obstacle,
    }
    print_row(row, as_json=as_json)


def _minutes(acting: Operator, user: User, tenant: Tenant, month: date | None) -> Row:
    now = acting.clock.now()
    asked = month or month_of(now)
    used_s = minutes.used(acting.catalogue, user.tenant_id, user.id, asked)
    # Of a month that is over the licence at its end counts, as everywhere.
    told_at = min(now, end_of(asked))
    licence = directory.licence_at(acting.catalogue, user.tenant_id, user.id, told_at)
    allowed_s = cap_s(licence)
    return {
        "month": f"{asked:%Y-%m}",
        "licence": _word(licence),
        "usedSeconds": used_s,
        "capSeconds": allowed_s,
        "percent": None if allowed_s is None else used_s * 100 // allowed_s,
        "aboveCap": str(tenant.policy.above_cap),
    }


def _word(licence: RetentionClass | None) -> str:
    return NONE if licence is None else str(licence)


def _month(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").date()  # noqa: DTZ007 - a month has no zone of its own
    except ValueError:
        raise argparse.ArgumentTypeError("a month is YYYY-MM, for instance 2026-11") from None
