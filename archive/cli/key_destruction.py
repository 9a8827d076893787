"""`earwitness keys destroy`: the operator proposes, somebody of the customer approves, the sweep does it.

Two operators on one machine can't be told apart, so the second person is always an
administrator or auditor of the customer, in the portal. Destroyed are the keys of a customer
and a day on which terms end, and with them all recordings that began before the proposal and
end on that day; a legal hold or a registered duty on one of them stands against it.

Not here: the root. No command destroys a root key that anything needs (`keys rotate --drop-former`
takes out what nothing needs).
"""

from __future__ import annotations

import argparse

from archive.approval import Kind, Wanted
from archive.audit_chain import Json
from archive.catalogue import approved, proposals
from archive.catalogue.directory import tenant_by_domain
from archive.cli.operator import Operator, operator
from archive.cli.outcome import DONE, Row, print_row
from archive.errors import Refused


def run(options: argparse.Namespace) -> int:
    """Propose it and print what waits."""
    with operator(options) as acting:
        row = propose(acting, options.tenant, options.day.isoformat(), options.reason.strip())
    print_row(row, as_json=options.json)
    return DONE


def propose(acting: Operator, domain: str, day: str, reason: str) -> Row:
    """Write the proposal down with its entry in the audit log.

    Raises Refused without a reason or when nothing hangs from such keys, NotFound for no such
    customer, Conflict while the same one waits.
    """
    if not reason:
        raise Refused("Say why: the second person has nothing else to judge by.")
    tenant = tenant_by_domain(acting.catalogue, domain)
    now = acting.clock.now()
    wanted = Wanted(Kind.KEY_DESTRUCTION, f"kek:{tenant.id}/{day}", {"day": day}, reason)
    with acting.audit.transaction(tenant.id) as connection:
        counted = approved.under_key(connection, tenant.id, day, now)
        if not counted.all:
            raise Refused(f"No recording of {domain} hangs from keys of {day}: they go by themselves.")
        made = proposals.propose_as_operator(connection, tenant.id, acting.actor, wanted, now=now)
        body: dict[str, Json] = {
            "kind": made.kind.value,
            "about": made.subject,
            "recordings": counted.all,
        }
        acting.record_within(connection, "proposal.made", f"proposal:{made.id}", tenant.id, body, at=now)
    return {
        "id": made.id,
        "state": made.state.value,
        "recordings": counted.all,
        "onHold": counted.held,
        "byDuty": counted.by_duty,
        "expiresAt": made.expires_at.isoformat(timespec="seconds"),
        "next": "an administrator or auditor of the customer approves it in the portal, at /approvals",
    }
