"""`earwitness user leave` and `user return`: somebody leaves a customer, and is back.

What ends with a departure and what stays is that of the portal (`archive.catalogue.departures`).
"""

from __future__ import annotations

import argparse
from typing import Any

from archive.catalogue import departures
from archive.cli.licences import person
from archive.cli.operator import Operator
from archive.cli.outcome import DONE, print_row

LEAVE, RETURN = "leave", "return"
ACTIONS = frozenset({LEAVE, RETURN})


def add_actions(actions: Any) -> None:
    """Add both to the actions of `earwitness user`."""
    leaving = actions.add_parser(
        LEAVE,
        help="somebody leaves: recordings stay, licence and numbers are free, every way in ends",
        epilog="example: earwitness user leave anna@jansen.example",
    )
    returning = actions.add_parser(
        RETURN,
        help="take a departure back, as far as what they had is free; a role of power does not come back",
        epilog="example: earwitness user return anna@jansen.example",
    )
    for each in (leaving, returning):
        each.add_argument("login", metavar="LOGIN@DOMAIN", help="sign-in name and the customer's domain")


def run(acting: Operator, options: argparse.Namespace) -> int:
    """Let somebody leave or come back; raises NotFound, Conflict."""
    user, tenant = person(acting, options.login)
    now = acting.clock.now()
    with acting.audit.transaction(tenant.id) as connection:
        if options.action == LEAVE:
            had = departures.leave(connection, tenant.id, user.id, now=now)
            licence, numbers = had.licence, had.numbers
            taken: tuple[str, ...] = ()
            action = "user.left"
        else:
            back = departures.come_back(connection, tenant.id, user.id, now=now)
            licence, numbers, taken = back.user.licence, back.user.numbers, back.taken
            action = "user.returned"
        word = None if licence is None else licence.value
        told = {"licence": word, "numbers": len(numbers), "numbersTaken": len(taken)}
        acting.record_within(connection, action, f"user:{user.id}", tenant.id, told, at=now)
    print_row(
        {
            "id": user.id,
            "login": options.login,
            "here": options.action == RETURN,
            "licence": word,
            "numbers": list(numbers),
            "numbersTaken": list(taken),
        },
        as_json=options.json,
    )
    return DONE
