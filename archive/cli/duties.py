"""`earwitness duty`: registering the law by which a customer must keep recordings.

For the classes a duty names, recordings are locked from then on so that nobody can take it
back (COMPLIANCE), once the bucket is proved. Registering counts at once. Ending loosens what is
locked from then on: the operator proposes it, and an administrator or auditor of the customer
approves it in the portal, for two operators on one machine can't be told apart.
"""

from __future__ import annotations

import argparse

from archive.approval import Kind, Wanted
from archive.audit_chain import Json
from archive.catalogue import directory, legal_duties, proposals
from archive.catalogue.legal_duties import LegalDuty
from archive.cli.operator import Operator, add_customer, operator
from archive.cli.outcome import DONE, Row, parser, print_row, print_rows
from archive.cli.vault import open_store
from archive.errors import Refused
from archive.lock_mode import is_proved
from archive.model import RetentionClass, TenantId

SEVEN_YEARS = (RetentionClass.YEARS_7_1000, RetentionClass.YEARS_7_3500)
"""Only these are as long as the laws that oblige somebody to keep recordings of calls."""


def run_duty(arguments: list[str]) -> int:
    """Register, list or end a tenant's legal duties."""
    options = _parser().parse_args(arguments)
    with operator(options) as acting:
        tenant_id = directory.tenant_by_domain(acting.catalogue, options.tenant).id
        match options.action:
            case "add":
                duty = _register(acting, tenant_id, options)
                print_row({**_row(duty), "lock": _lock_of(acting)}, as_json=options.json)
            case "list":
                print_rows(
                    [_row(each) for each in legal_duties.duties_of(acting.catalogue, tenant_id)],
                    as_json=options.json,
                )
            case _:
                row = _propose_end(acting, tenant_id, options.id, options.reason.strip())
                print_row(row, as_json=options.json)
    return DONE


def _register(acting: Operator, tenant_id: TenantId, options: argparse.Namespace) -> LegalDuty:
    now = acting.clock.now()
    classes = frozenset(options.licence or SEVEN_YEARS)
    with acting.audit.transaction(tenant_id) as connection:
        duty = legal_duties.register(connection, tenant_id, options.law, classes, acting.actor, now)
        body: dict[str, Json] = {"law": duty.law, "classes": [*sorted(duty.classes)]}
        acting.record_within(connection, "duty.registered", f"duty:{duty.id}", tenant_id, body, at=now)
    return duty


def _propose_end(acting: Operator, tenant_id: TenantId, duty_id: str, reason: str) -> Row:
    if not reason:
        raise Refused("Say why: the second person has nothing else to judge by.")
    now = acting.clock.now()
    with acting.audit.transaction(tenant_id) as connection:
        duty = legal_duties.in_force(connection, tenant_id, duty_id)
        about: dict[str, Json] = {"law": duty.law, "classes": [*sorted(duty.classes)]}
        wanted = Wanted(Kind.DUTY_END, f"duty:{duty.id}", about, reason)
        made = proposals.propose_as_operator(connection, tenant_id, acting.actor, wanted, now=now)
        body: dict[str, Json] = {"kind": made.kind.value, "about": made.subject, **about}
        acting.record_within(connection, "proposal.made", f"proposal:{made.id}", tenant_id, body, at=now)
    return {
        "id": made.id,
        "state": made.state.value,
        "law": duty.law,
        "expiresAt": made.expires_at.isoformat(timespec="seconds"),
        "next": "an administrator or auditor of the customer approves it in the portal, at /approvals",
    }


def _lock_of(acting: Operator) -> str:
    """Say what the duty does now: an unproved bucket gets no lock that can't be taken back."""
    store = open_store(acting.settings)
    try:
        proved = is_proved(acting.catalogue, store, acting.clock.now())
    finally:
        store.close()
    if proved:
        return "COMPLIANCE, for what is archived from now on"
    return "GOVERNANCE until the bucket is proved: run earwitness storage verify-worm"


def _row(duty: LegalDuty) -> Row:
    return {
        "id": duty.id,
        "law": duty.law,
        "classes": sorted(duty.classes),
        "registeredBy": duty.registered_by,
        "registeredAt": duty.registered_at.isoformat(timespec="seconds"),
        "endedAt": None if duty.ended_at is None else duty.ended_at.isoformat(timespec="seconds"),
    }


def _parser() -> argparse.ArgumentParser:
    made = parser(
        "duty",
        "Legal duties to keep recordings, for which nobody, erasure included, can take a lock back.",
        "earwitness duty add --tenant jansen.example --law 'Wft 4:14, MiFID II art. 16(7)'",
    )
    actions = made.add_subparsers(dest="action", required=True, metavar="add|list|end")
    adding = actions.add_parser(
        "add",
        help="register a duty; it counts for what is archived from then on",
        epilog="example: earwitness duty add --tenant jansen.example --law 'Wft 4:14, MiFID II art. 16(7)'",
    )
    adding.add_argument("--law", required=True, help="the law and its article; shown to auditors")
    adding.add_argument(
        "--licence",
        type=RetentionClass,
        choices=list(RetentionClass),
        action="append",
        metavar="90d|365d|7y-1000|7y-3500",
        help="the class it is about, again for more (default: those of seven years)",
    )
    listing = actions.add_parser(
        "list",
        help="show them, ended ones too",
        epilog="example: earwitness duty list --tenant jansen.example",
    )
    ending = actions.add_parser(
        "end",
        help="propose to end one; somebody of the customer approves, and locks that stand stay",
        epilog="example: earwitness duty end ID --tenant jansen.example --reason 'licence given back'",
    )
    ending.add_argument("id", metavar="ID", help="the duty, as `list` shows it")
    ending.add_argument("--reason", required=True, metavar="TEXT", help="why; the second person reads it")
    add_customer(adding, listing, ending)
    return made
