"""`earwitness user`: people, their numbers and modes.

Not here: licences and minutes (`archive.cli.licences`), invitations and second factors
(`archive.cli.sign_in`), leaving and coming back (`archive.cli.departures`).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from archive import roster
from archive.audit_chain import Json
from archive.catalogue import directory, passwords
from archive.catalogue.directory import UserFields
from archive.cli import departures, licences, sign_in
from archive.cli.operator import Operator, operator
from archive.cli.outcome import DONE, FAILED, Row, add_json, parser, print_row, print_rows
from archive.cli.service import add_data
from archive.errors import Refused
from archive.model import RecordingMode, Role, Tenant, User

PASSWORD_SIZE_BYTES_MAX = 4096  # far above what a password may have; a wrong file is refused early
IMPORT_ROWS_MAX = 100_000  # above the people of any tenant we know; a wrong file is refused early
MODES = tuple(str(each) for each in RecordingMode)
SAID = frozenset(name.replace("-", "_") for name in roster.COLUMNS) - {"login"}
"""The options that say something of a person; the same as the columns of a file."""


def run_user(arguments: list[str]) -> int:
    """Add, change, list or import people; show their licences and minutes."""
    options = _user_parser().parse_args(arguments)
    with operator(options) as acting:
        if options.action in licences.ACTIONS:
            return licences.run(acting, options)
        if options.action in sign_in.ACTIONS:
            return sign_in.run(acting, options)
        if options.action in departures.ACTIONS:
            return departures.run(acting, options)
        if options.action == "list":
            print_rows(_listed(acting, options.tenant), as_json=options.json)
            return DONE
        if options.action == "import":
            return _import(acting, options)
        password = _password() if options.password_stdin else None
        said = {name: value for name, value in vars(options).items() if name in SAID and value is not None}
        new = options.action == "add"
        role = None if new or "role" not in said else licences.person(acting, options.login)[0].role
        fields = roster.fields_of(said)
        user, tenant = _store(acting, options.login, fields, new=new, role=role, password=password)
        print_row(_row(user, tenant.domain), as_json=options.json)
    return DONE


def _user_parser() -> argparse.ArgumentParser:
    made = parser(
        "user",
        "People: their numbers, how they are recorded and what they may do.",
        "earwitness user add anna@jansen.example --number +31201234567 --licence 90d --mode always",
    )
    actions = made.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, help_text in (("add", "add a person"), ("set", "change a person; what is not given stays")):
        each = actions.add_parser(name, help=help_text, epilog=made.epilog)
        _add_fields(each)
    listing = actions.add_parser("list", help="list people", epilog="example: earwitness user list --json")
    listing.add_argument("--tenant", metavar="DOMAIN", help="only of this customer")
    importing = actions.add_parser(
        "import",
        help="add or change people from a CSV file",
        description=f"Columns: {', '.join(roster.COLUMNS)}; several numbers or own-modes are separated "
        "by blanks, an empty cell changes nothing.",
        epilog="example: earwitness user import people.csv",
    )
    importing.add_argument("file", type=Path, help="CSV in UTF-8 with a heading")
    licences.add_actions(actions)
    sign_in.add_actions(actions)
    departures.add_actions(actions)
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
    add("--licence", choices=licences.WORDS, help="how long recordings are kept")
    add("--mode", choices=MODES, help="what of the calls is recorded")
    add(
        "--own-mode",
        dest="own_modes",
        action="extend",
        nargs="+",
        choices=(*MODES, roster.NONE),
        help="a mode the person may choose (none: the administrator decides alone)",
    )
    add("--password-stdin", action="store_true", help="read the password from standard input")


def _store(
    acting: Operator,
    login: str,
    fields: UserFields,
    *,
    new: bool,
    role: Role | None = None,
    password: str | None = None,
) -> tuple[User, Tenant]:
    """Add or change somebody, who has the `role` by now, together with an entry each or not at all."""
    name, at, domain = login.rpartition("@")
    if not at:
        raise Refused(f"{login!r} is not LOGIN@DOMAIN, for instance anna@jansen.example.")
    tenant = directory.tenant_by_domain(acting.catalogue, domain)
    change = directory.insert_user if new else directory.update_user
    hashed = None if password is None else passwords.hashed(password)
    now = acting.clock.now()
    with acting.audit.transaction(tenant.id) as connection:
        user = change(connection, tenant.id, name, now=now, **fields)
        if hashed is not None:
            passwords.store(connection, tenant.id, user.id, hashed)
        acting.record_within(connection, "user.added" if new else "user.changed", user.id, tenant.id, at=now)
        if not new and user.role is not role and "role" in fields:
            # Said apart, so that who gives a role alone makes no second person of their own by it, and a
            # file of every night, which gives nobody another one, keeps nobody from deciding.
            given: dict[str, Json] = {"role": user.role.value}
            acting.record_within(connection, "user.role-given", user.id, tenant.id, given, at=now)
        if hashed is not None:
            acting.record_within(connection, "user.password-set", user.id, tenant.id, at=now)
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
    known = {str(row["login"]): Role(str(row["role"])) for row in _listed(acting, None)}

    def store(login: str, fields: UserFields) -> str:
        new = login not in known
        user, _ = _store(acting, login, fields, new=new, role=known.get(login))
        known[login] = user.role
        return roster.ADDED if new else roster.CHANGED

    try:
        with options.file.open(encoding="utf-8-sig", newline="") as file:
            results = roster.enter(roster.read(file, rows_max=IMPORT_ROWS_MAX), store)
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{options.file} can't be read: {error}.") from error
    except Refused as error:
        raise Refused(f"{options.file}: {error}") from error
    rows: list[Row] = [
        {"line": each.line, "login": each.login, "result": each.result, "reason": each.reason}
        for each in results
    ]
    print_rows(rows, as_json=options.json)
    return FAILED if any(each.result == "refused" for each in results) else DONE


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
        "ownModes": [str(each) for each in user.own_modes],
    }
