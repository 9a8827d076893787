"""`earwitness team`: teams and their members."""

from __future__ import annotations

import argparse

from archive.catalogue import directory
from archive.catalogue.directory import Capacity
from archive.catalogue.engine import Underway
from archive.cli.operator import Operator, operator
from archive.cli.outcome import DONE, Row, add_json, parser, print_row
from archive.cli.service import add_data
from archive.errors import Refused


def run_team(arguments: list[str]) -> int:
    """Add a team, or a member to a team."""
    made = parser(
        "team",
        "Teams: listeners hear what contributors record.",
        "earwitness team member sales anna@jansen.example --as contributor",
    )
    actions = made.add_subparsers(dest="action", required=True, metavar="add|member")
    add = actions.add_parser(
        "add", help="add a team", epilog="example: earwitness team add sales --tenant jansen.example"
    )
    add.add_argument("name", help="name of the team")
    add.add_argument("--tenant", required=True, metavar="DOMAIN", help="the customer it belongs to")
    member = actions.add_parser("member", help="put a person into a team", epilog=made.epilog)
    member.add_argument("team", help="name of the team")
    member.add_argument("user", metavar="LOGIN@DOMAIN", help="the person")
    member.add_argument("--as", required=True, dest="capacity", choices=[str(each) for each in Capacity])
    for each in (add, member):
        add_data(each)
        add_json(each)
    options = made.parse_args(arguments)
    with operator(options) as acting:
        print_row(
            _add_team(acting, options) if options.action == "add" else _add_member(acting, options),
            as_json=options.json,
        )
    return DONE


def _add_team(acting: Operator, options: argparse.Namespace) -> Row:
    tenant = directory.tenant_by_domain(acting.catalogue, options.tenant)
    now = acting.clock.now()
    with acting.audit.transaction(tenant.id) as connection:
        team_id = directory.insert_team(connection, tenant.id, options.name, now=now)
        acting.record_within(connection, "team.added", team_id, tenant.id, at=now)
    return {"id": team_id, "name": options.name}


def _add_member(acting: Operator, options: argparse.Namespace) -> Row:
    login, at, domain = options.user.rpartition("@")
    if not at:
        raise Refused(f"{options.user!r} is not LOGIN@DOMAIN, for instance anna@jansen.example.")
    tenant = directory.tenant_by_domain(acting.catalogue, domain)
    capacity = Capacity(options.capacity)
    now = acting.clock.now()
    with acting.audit.transaction(tenant.id) as connection:
        within = Underway(connection, tenant.id)
        directory.set_team_member(within, tenant.id, options.team, login, capacity, now=now)
        user = directory.user_of_login(connection, tenant.id, login)
        assert user is not None
        acting.record_within(connection, "team.member-set", user.id, tenant.id, at=now)
    return {"team": options.team, "user": options.user, "as": str(capacity)}
