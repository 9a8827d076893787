"""`earwitness user` and `team`: people, their numbers, modes, licences and teams."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from archive.catalogue import accounts, directory
from archive.catalogue.directory import Capacity, UserFields
from archive.cli.operator import Operator, operator
from archive.cli.outcome import DONE, FAILED, Row, add_json, explained, parser, print_row, print_rows
from archive.cli.service import add_data
from archive.errors import DependencyUnavailable, Refused
from archive.model import RecordingMode, RetentionClass, Role, Tenant, User

PASSWORD_SIZE_BYTES_MAX = 4096  # far above what a password may have; a wrong file is refused early
IMPORT_ROWS_MAX = 100_000  # above the people of any tenant we know; a wrong file is refused early
LICENCES = (*(str(each) for each in RetentionClass), "none")
BEYOND_HEADING = "beyond the heading"
COLUMNS = ("login", "number", "broadworks-id", "role", "access", "site", "licence", "mode")


def run_user(arguments: list[str]) -> int:
    """Add, change, list or import people."""
    options = _user_parser().parse_args(arguments)
    with operator(options) as acting:
        if options.action == "list":
            print_rows(_listed(acting, options.tenant), as_json=options.json)
            return DONE
        if options.action == "import":
            return _import(acting, options)
        password = _password() if options.password_stdin else None
        given = {name: value for name, value in vars(options).items() if value is not None}
        user, tenant = _store(acting, options.login, _fields(given), new=options.action == "add")
        if password is not None:
            accounts.set_password(acting.catalogue, tenant.id, user.login, password)
            acting.record("user.password-set", user.id, tenant.id)
        print_row(_row(user, tenant.domain), as_json=options.json)
    return DONE


def _user_parser() -> argparse.ArgumentParser:
    made = parser(
        "user",
        "People: their numbers, how they are recorded and what they may do.",
        "earwitness user add anna@jansen.example --number +31201234567 --licence 90d --mode always",
    )
    actions = made.add_subparsers(dest="action", required=True, metavar="add|set|list|import")
    for name, help_text in (("add", "add a person"), ("set", "change a person; what is not given stays")):
        each = actions.add_parser(name, help=help_text, epilog=made.epilog)
        _add_fields(each)
    listing = actions.add_parser("list", help="list people", epilog="example: earwitness user list --json")
    listing.add_argument("--tenant", metavar="DOMAIN", help="only of this customer")
    importing = actions.add_parser(
        "import",
        help="add or change people from a CSV file",
        description=f"Columns: {', '.join(COLUMNS)}; several numbers are separated by blanks.",
        epilog="example: earwitness user import people.csv",
    )
    importing.add_argument("file", type=Path, help="CSV in UTF-8 with a heading")
    for each in actions.choices.values():
        add_data(each)
        add_json(each)
    return made


def _add_fields(to: argparse.ArgumentParser) -> None:
    add = to.add_argument
    add("login", metavar="LOGIN@DOMAIN", help="sign-in name and the customer's domain")
    add(
        "--number",
        action="extend",
        nargs="+",
        metavar="N",
        help="telephone number, or range +31201234500-599",
    )
    add("--broadworks-id", metavar="ID", help="user id of the exchange")
    add("--role", choices=[str(each) for each in Role], help="what the account may do")
    add("--access", choices=("none", "own"), help="which recordings a user hears")
    add("--site", metavar="NAME", help="place, for bandwidth and reports")
    add("--licence", choices=LICENCES, help="how long recordings are kept")
    add("--mode", choices=[str(each) for each in RecordingMode], help="what of the calls is recorded")
    add("--password-stdin", action="store_true", help="read the password from standard input")


def _fields(given: Mapping[str, object]) -> UserFields:
    """Return the fields named in `given`, by the names of options; raises Refused for a wrong word."""
    fields: UserFields = {}
    numbers = given.get("number")
    if isinstance(numbers, list):
        fields["numbers"] = [str(number) for number in numbers]
    texts = {name: str(given[name]) for name in given if name != "number"}
    try:
        if "broadworks_id" in texts:
            fields["broadworks_id"] = texts["broadworks_id"] or None
        if "site" in texts:
            fields["site"] = texts["site"] or None
        if "access" in texts:
            fields["access"] = texts["access"]
        if "role" in texts:
            fields["role"] = Role(texts["role"])
        if "mode" in texts:
            fields["mode"] = RecordingMode(texts["mode"])
        if "licence" in texts:
            fields["licence"] = None if texts["licence"] == "none" else RetentionClass(texts["licence"])
    except ValueError as error:
        raise Refused(f"{error}.") from error
    return fields


def _store(acting: Operator, login: str, fields: UserFields, *, new: bool) -> tuple[User, Tenant]:
    name, at, domain = login.rpartition("@")
    if not at:
        raise Refused(f"{login!r} is not LOGIN@DOMAIN, for instance anna@jansen.example.")
    tenant = directory.tenant_by_domain(acting.catalogue, domain)
    change = directory.add_user if new else directory.set_user
    user = change(acting.catalogue, tenant.id, name, now=acting.clock.now(), **fields)
    acting.record("user.added" if new else "user.changed", user.id, tenant.id)
    return user, tenant


def _password() -> str:
    text = sys.stdin.buffer.read(PASSWORD_SIZE_BYTES_MAX + 1)
    if len(text) > PASSWORD_SIZE_BYTES_MAX:
        raise Refused("That is too long for a password.")
    try:
        return text.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Refused("The password on standard input is not UTF-8.") from None


def _listed(acting: Operator, domain: str | None) -> list[Row]:
    tenants = directory.list_tenants(acting.catalogue)
    if domain is not None:
        tenants = [directory.tenant_by_domain(acting.catalogue, domain)]
    return [
        _row(user, tenant.domain)
        for tenant in tenants
        for user in directory.list_users(acting.catalogue, tenant.id)
    ]


def _import(acting: Operator, options: argparse.Namespace) -> int:
    """Add or change each person of a file; a row that is refused does not stop the others."""
    known = {str(row["login"]) for row in _listed(acting, None)}
    results: list[Row] = []
    for line, row in _csv_rows(options.file):
        login = row.get("login", "")
        new = login.strip().lower() not in known
        try:
            _store(acting, login, _fields(_csv_fields(row)), new=new)
        except Exception as error:
            reason = explained(error)
            if reason is None or isinstance(error, DependencyUnavailable):
                # The rows that follow would fail the same way; doing the file again changes nothing twice.
                raise
            results.append({"line": line, "login": login, "result": "refused", "reason": reason})
        else:
            known.add(login.strip().lower())
            results.append(
                {"line": line, "login": login, "result": "added" if new else "changed", "reason": ""}
            )
    print_rows(results, as_json=options.json)
    return FAILED if any(each["result"] == "refused" for each in results) else DONE


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey=BEYOND_HEADING, strict=True)
            unknown = set(reader.fieldnames or ["(no heading)"]) - set(COLUMNS)
            if unknown:
                raise Refused(f"{path} has columns we don't know: {', '.join(sorted(unknown))}.")
            for count, row in enumerate(reader, 1):
                if count > IMPORT_ROWS_MAX:
                    raise Refused(f"{path} has more than {IMPORT_ROWS_MAX} rows; divide it.")
                yield reader.line_num, {name: value for name, value in row.items() if value}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Refused(f"{path} can't be read: {error}.") from error


def _csv_fields(row: Mapping[str, str]) -> dict[str, object]:
    if BEYOND_HEADING in row:
        raise Refused("The row has more cells than the heading.")
    fields: dict[str, object] = {
        name.replace("-", "_"): value for name, value in row.items() if name != "login"
    }
    if "number" in row:
        fields["number"] = row["number"].split()
    return fields


def _row(user: User, domain: str) -> Row:
    return {
        "id": user.id,
        "login": f"{user.login}@{domain}",
        "numbers": list(user.numbers),
        "broadworksId": user.broadworks_id,
        "role": str(user.role),
        "access": user.access,
        "site": user.site,
        "licence": None if user.licence is None else str(user.licence),
        "mode": str(user.mode),
    }


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
    team_id = directory.add_team(acting.catalogue, tenant.id, options.name, now=acting.clock.now())
    acting.record("team.added", team_id, tenant.id)
    return {"id": team_id, "name": options.name}


def _add_member(acting: Operator, options: argparse.Namespace) -> Row:
    login, at, domain = options.user.rpartition("@")
    if not at:
        raise Refused(f"{options.user!r} is not LOGIN@DOMAIN, for instance anna@jansen.example.")
    tenant = directory.tenant_by_domain(acting.catalogue, domain)
    capacity = Capacity(options.capacity)
    directory.set_team_member(acting.catalogue, tenant.id, options.team, login, capacity)
    users = {user.login: user.id for user in directory.list_users(acting.catalogue, tenant.id)}
    acting.record("team.member-set", users[login.strip().lower()], tenant.id)
    return {"team": options.team, "user": options.user, "as": str(capacity)}
