"""`earwitness do-not-record` and `exempt`: numbers whose calls are not recorded.

Of a call with a do-not-record number the metadata and the reason are kept; of one with
an exempt number nothing at all. Every change stands in the audit log, without numbers.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from archive.catalogue import directory, do_not_record, exempt_numbers
from archive.catalogue.do_not_record import DoNotRecordEntry
from archive.catalogue.exempt_numbers import ExemptEntry
from archive.cli.operator import Operator, add_customer, operator
from archive.cli.outcome import DONE, Row, add_json, parser, print_row, print_rows
from archive.cli.service import add_data
from archive.errors import NotFound
from archive.model import TenantId, UserId
from archive.numbers import FLOOR, FLOOR_SERVICES


def run_do_not_record(arguments: list[str]) -> int:
    """Add, list or remove numbers a tenant never records."""
    options = _do_not_record_parser().parse_args(arguments)
    with operator(options) as acting:
        tenant = directory.tenant_by_domain(acting.catalogue, options.tenant)
        match options.action:
            case "list":
                entries = do_not_record.entries(acting.catalogue, tenant.id)
                found = directory.list_users(acting.catalogue, tenant.id)
                logins: dict[UserId | None, str] = {each.id: each.login for each in found}
                print_rows([_entry_row(each, logins) for each in entries], as_json=options.json)
            case "add":
                entry = _add(acting, tenant.id, options)
                print_row(_entry_row(entry, {entry.user_id: options.user or ""}), as_json=options.json)
            case _:
                _remove(acting, tenant.id, options.id)
                print_row({"id": options.id, "result": "removed"}, as_json=options.json)
    return DONE


def run_exempt(arguments: list[str]) -> int:
    """Add, list or remove numbers that are exempt beside the floor list."""
    options = _exempt_parser().parse_args(arguments)
    with operator(options) as acting:
        tenant_id = None
        if options.tenant is not None:
            tenant_id = directory.tenant_by_domain(acting.catalogue, options.tenant).id
        match options.action:
            case "list":
                floor: list[Row] = [
                    {"id": each, "number": each, "origin": "floor"} for each in (*FLOOR, *FLOOR_SERVICES)
                ]
                added = exempt_numbers.entries(acting.catalogue, tenant_id)
                print_rows([*floor, *map(_exempt_row, added)], as_json=options.json)
            case "add":
                entry = _add_exempt(acting, tenant_id, options.number)
                print_row(_exempt_row(entry), as_json=options.json)
            case _:
                _remove_exempt(acting, tenant_id, options.number)
                print_row({"number": options.number, "result": "removed"}, as_json=options.json)
    return DONE


def _add(acting: Operator, tenant_id: TenantId, options: argparse.Namespace) -> DoNotRecordEntry:
    """Put numbers on the list of the customer, or of one of its people."""
    user_id = None
    if options.user is not None:
        people = directory.list_users(acting.catalogue, tenant_id)
        user_id = next((each.id for each in people if each.login == options.user.strip().lower()), None)
        if user_id is None:
            raise NotFound(f"There is no user {options.user!r} in this tenant.")
    now = acting.clock.now()
    with acting.audit.transaction(tenant_id) as connection:
        entry = do_not_record.add_within(
            connection, tenant_id, options.numbers, options.reason, now=now, user_id=user_id
        )
        thing = f"do-not-record:{entry.id}"
        acting.record_within(connection, "do-not-record.added", thing, tenant_id, at=now)
    return entry


def _remove(acting: Operator, tenant_id: TenantId, entry_id: str) -> None:
    with acting.audit.transaction(tenant_id) as connection:
        do_not_record.remove_within(connection, tenant_id, entry_id)
        thing = f"do-not-record:{entry_id}"
        acting.record_within(connection, "do-not-record.removed", thing, tenant_id, at=acting.clock.now())


def _add_exempt(acting: Operator, tenant_id: TenantId | None, number: str) -> ExemptEntry:
    """Make a number exempt; its entry in the log is the only trace that leaves."""
    now = acting.clock.now()
    with acting.audit.transaction(tenant_id) as connection:
        entry = exempt_numbers.add_within(connection, tenant_id, number, now=now)
        thing = f"exempt-number:{entry.id}"
        acting.record_within(connection, "exempt-number.added", thing, tenant_id, at=now)
    return entry


def _remove_exempt(acting: Operator, tenant_id: TenantId | None, number: str) -> None:
    with acting.audit.transaction(tenant_id) as connection:
        thing = f"exempt-number:{exempt_numbers.remove_within(connection, tenant_id, number)}"
        acting.record_within(connection, "exempt-number.removed", thing, tenant_id, at=acting.clock.now())


def _do_not_record_parser() -> argparse.ArgumentParser:
    made = parser(
        "do-not-record",
        "Numbers a customer never records: doctor, lawyer, works council. Metadata is kept.",
        "earwitness do-not-record add +31201234567 --tenant jansen.example --reason 'works council'",
    )
    actions = made.add_subparsers(dest="action", required=True, metavar="add|list|remove")
    add = actions.add_parser("add", help="never record a number", epilog=made.epilog)
    add.add_argument("numbers", metavar="N", help="number, range +31201234500-599, or address of record")
    add.add_argument("--reason", required=True, help="why; it stands with each call that is not recorded")
    add.add_argument(
        "--user", metavar="LOGIN", help="only for calls of this person (default: of the whole customer)"
    )
    listing = actions.add_parser(
        "list",
        help="show the list",
        epilog="example: earwitness do-not-record list --tenant jansen.example",
    )
    remove = actions.add_parser(
        "remove",
        help="record it again",
        epilog="example: earwitness do-not-record remove ID --tenant jansen.example",
    )
    remove.add_argument("id", metavar="ID", help="the entry, as `list` shows it")
    add_customer(add, listing, remove)
    return made


def _exempt_parser() -> argparse.ArgumentParser:
    made = parser(
        "exempt",
        "Numbers of which nothing is kept, beside 112, 113, 0800-0113 and 0900-0113.",
        "earwitness exempt add 116117 --tenant jansen.example",
    )
    actions = made.add_subparsers(dest="action", required=True, metavar="add|list|remove")
    add = actions.add_parser("add", help="make a number exempt", epilog=made.epilog)
    listing = actions.add_parser("list", help="show the list", epilog="example: earwitness exempt list")
    remove = actions.add_parser(
        "remove", help="remove what was added", epilog="example: earwitness exempt remove 116117"
    )
    for each in (add, remove):
        each.add_argument("number", metavar="N", help="the number, in any spelling")
    for each in (add, listing, remove):
        each.add_argument(
            "--tenant", metavar="DOMAIN", help="for this customer (default: for all of the installation)"
        )
        add_data(each)
        add_json(each)
    return made


def _entry_row(entry: DoNotRecordEntry, logins: Mapping[UserId | None, str]) -> Row:
    whose = "" if entry.user_id is None else logins.get(entry.user_id, "")
    return {"id": entry.id, "numbers": entry.numbers, "reason": entry.reason, "user": whose or None}


def _exempt_row(entry: ExemptEntry) -> Row:
    return {"id": entry.id, "number": entry.number, "origin": "operator" if entry.operators else "tenant"}
