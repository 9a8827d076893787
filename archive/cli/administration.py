"""`earwitness tenant`, `peer` and `api-client`: what the operator sets up once.

Every change is written to the audit log, after it is made.
"""

from __future__ import annotations

import argparse

from archive.access import Scope
from archive.catalogue import accounts, directory, peers, policies
from archive.catalogue.engine import Underway
from archive.cli import grounds
from archive.cli.licences import person
from archive.cli.operator import Operator, operator
from archive.cli.outcome import DONE, Row, add_json, parser, print_row, print_rows
from archive.cli.service import add_data
from archive.grounds import STANDARD
from archive.model import KEEP_GRACE_H_MAX, AboveCap, Peer, Tenant


def run_tenant(arguments: list[str]) -> int:
    """Add or list customers, show or change what one decided for its people."""
    options = _tenant_parser().parse_args(arguments)
    with operator(options) as acting:
        match options.action:
            case "list":
                found = directory.list_tenants(acting.catalogue)
                print_rows([_tenant_row(each) for each in found], as_json=options.json)
            case "policy":
                print_row(_policy(acting, options), as_json=options.json)
            case "grounds":
                print_row(grounds.run(acting, options), as_json=options.json)
            case _:
                print_row(_tenant_row(_add_tenant(acting, options)), as_json=options.json)
    return DONE


def _tenant_parser() -> argparse.ArgumentParser:
    made = parser(
        "tenant",
        "Customers of the operator.",
        "earwitness tenant add 'Bakkerij Jansen' --domain jansen.example",
    )
    actions = made.add_subparsers(dest="action", required=True, metavar="add|list|policy|grounds")
    add = actions.add_parser("add", help="add a customer", epilog=made.epilog)
    add.add_argument("name", help="name for people")
    add.add_argument("--domain", required=True, help="domain of its logins and SIP addresses")
    add.add_argument("--service-provider", metavar="ID", help="BroadWorks service provider its calls carry")
    add.add_argument("--group", metavar="ID", help="BroadWorks group its calls carry")
    add.add_argument(
        "--operators",
        action="store_true",
        help="the provider's own: its people are operators, who see how the instance runs and hear nothing",
    )
    add.add_argument(
        "--grounds",
        choices=("standard", "none"),
        default="standard",
        help="why it records: the provider's text until it writes its own, or nothing yet, so that "
        "nobody is recorded before it did",
    )
    listing = actions.add_parser(
        "list", help="list customers", epilog="example: earwitness tenant list --json"
    )
    policy = actions.add_parser(
        "policy",
        help="show or change what it decided for all of its people",
        epilog="example: earwitness tenant policy jansen.example --keep-grace 24 --above-cap 90d",
    )
    policy.add_argument("domain", metavar="DOMAIN", help="the customer")
    policy.add_argument(
        "--keep-grace",
        type=int,
        metavar="H",
        help=f"hours a call nobody kept may still be kept, 0 to {KEEP_GRACE_H_MAX}",
    )
    policy.add_argument(
        "--above-cap",
        choices=[str(each) for each in AboveCap],
        help="what becomes of recordings above the minutes of a 7-year licence: "
        "kept 7 years, kept 90 days, or not recorded",
    )
    why = actions.add_parser(
        "grounds",
        help="show or write down why it records: purposes, legal basis and notice",
        epilog="example: earwitness tenant grounds jansen.example",
    )
    grounds.add_words(why)
    for each in (add, listing, policy, why):
        add_data(each)
        add_json(each)
    return made


def _add_tenant(acting: Operator, options: argparse.Namespace) -> Tenant:
    now = acting.clock.now()
    with acting.audit.transaction(None) as connection:
        tenant = directory.add_tenant(
            Underway(connection, None),
            options.name,
            options.domain,
            now=now,
            broadworks_service_provider=options.service_provider,
            broadworks_group=options.group,
            operates=options.operators,
            why=STANDARD if options.grounds == "standard" else None,
        )
        acting.record_within(connection, "tenant.added", tenant.id, tenant.id, at=now)
    return tenant


def _policy(acting: Operator, options: argparse.Namespace) -> Row:
    """Change what is given, and return all of it."""
    tenant = directory.tenant_by_domain(acting.catalogue, options.domain)
    policy = tenant.policy
    if options.keep_grace is not None or options.above_cap is not None:
        now = acting.clock.now()
        with acting.audit.transaction(tenant.id) as connection:
            policy = policies.set_within(
                connection,
                tenant.id,
                keep_grace_h=options.keep_grace,
                above_cap=None if options.above_cap is None else AboveCap(options.above_cap),
            )
            acting.record_within(connection, "policy.changed", tenant.id, tenant.id, at=now)
    return {
        "domain": tenant.domain,
        "keepGraceHours": policy.keep_grace_h,
        "aboveCap": str(policy.above_cap),
    }


def run_peer(arguments: list[str]) -> int:
    """Add or list trusted session recording clients."""
    made = parser(
        "peer",
        "Trusted session recording clients: who may offer calls, by address.",
        "earwitness peer add exchange --address 192.0.2.0/28 --dialect broadworks",
    )
    actions = made.add_subparsers(dest="action", required=True, metavar="add|list")
    add = actions.add_parser("add", help="trust a client", epilog=made.epilog)
    add.add_argument("name", help="name for people")
    add.add_argument(
        "--address",
        required=True,
        action="extend",
        nargs="+",
        metavar="CIDR",
        help="address or range it sends from",
    )
    add.add_argument("--tenant", metavar="DOMAIN", help="its calls belong to this customer")
    add.add_argument("--dialect", default="auto", choices=peers.DIALECTS, help="how it describes calls")
    add.add_argument("--srtp", default="allow", choices=peers.SRTP_POLICIES, help="encrypted media")
    add.add_argument("--star-codes", default="off", choices=("on", "off"), help="*44, *45, *48, *49 in calls")
    listing = actions.add_parser("list", help="list clients", epilog="example: earwitness peer list --json")
    for each in (add, listing):
        add_data(each)
        add_json(each)
    options = made.parse_args(arguments)
    with operator(options) as acting:
        if options.action == "list":
            print_rows([_peer_row(each) for each in peers.list_peers(acting.catalogue)], as_json=options.json)
            return DONE
        print_row(_peer_row(_add_peer(acting, options)), as_json=options.json)
    return DONE


def _add_peer(acting: Operator, options: argparse.Namespace) -> Peer:
    tenant = directory.tenant_by_domain(acting.catalogue, options.tenant) if options.tenant else None
    now = acting.clock.now()
    with acting.audit.transaction(None) as connection:
        peer = peers.add_peer(
            Underway(connection, None),
            options.name,
            options.address,
            now=now,
            tenant_id=None if tenant is None else tenant.id,
            dialect=options.dialect,
            srtp=options.srtp,
            star_codes=options.star_codes == "on",
        )
        acting.record_within(connection, "peer.added", peer.id, None, at=now)
    return peer


def run_api_client(arguments: list[str]) -> int:
    """Make a key for the HTTP API and print it once, or let one that a restore suspended open again."""
    made = parser(
        "api-client",
        "Programs that use the HTTP API.",
        "earwitness api-client add crm --tenant jansen.example --scope recordings:read recordings:play",
    )
    actions = made.add_subparsers(dest="action", required=True, metavar="add|resume")
    add = actions.add_parser("add", help="make a key; it is shown once", epilog=made.epilog)
    resume = actions.add_parser(
        "resume",
        help="let a key open again that a restore of a backup suspended",
        epilog="example: earwitness api-client resume crm --tenant jansen.example",
    )
    resume.add_argument("name", help="the name it was made with")
    resume.add_argument("--tenant", required=True, metavar="DOMAIN", help="the customer whose key it is")
    add.add_argument("name", help="name for people")
    add.add_argument("--tenant", required=True, metavar="DOMAIN", help="the customer whose data it reaches")
    add.add_argument(
        "--scope",
        required=True,
        action="extend",
        nargs="+",
        metavar="SCOPE",
        help=f"what it may do: {', '.join(sorted(Scope))}",
    )
    add.add_argument(
        "--user",
        metavar="LOGIN",
        help="the key acts as this person: it may do what both they and its scopes allow",
    )
    for action in (add, resume):
        add_data(action)
        add_json(action)
    options = made.parse_args(arguments)
    return _resume_client(options) if options.action == "resume" else _add_client(options)


def _resume_client(options: argparse.Namespace) -> int:
    with operator(options) as acting:
        tenant = directory.tenant_by_domain(acting.catalogue, options.tenant)
        with acting.audit.transaction(tenant.id) as connection:
            within = Underway(connection, tenant.id)
            client_id = accounts.resume_api_client(within, tenant.id, options.name.strip())
            acting.record_within(
                connection, "api-client.resumed", client_id, tenant.id, at=acting.clock.now()
            )
    print_row({"id": client_id, "name": options.name.strip()}, as_json=options.json)
    return DONE


def _add_client(options: argparse.Namespace) -> int:
    with operator(options) as acting:
        tenant = directory.tenant_by_domain(acting.catalogue, options.tenant)
        user_id = None
        if options.user is not None:
            login = options.user if "@" in options.user else f"{options.user}@{tenant.domain}"
            user_id = person(acting, login, tenant)[0].id
        now = acting.clock.now()
        with acting.audit.transaction(tenant.id) as connection:
            within = Underway(connection, tenant.id)
            client = accounts.add_api_client(
                within, tenant.id, options.name, options.scope, now=now, user_id=user_id
            )
            acting.record_within(connection, "api-client.added", client.id, tenant.id, at=now)
    print_row({"id": client.id, "key": client.key}, as_json=options.json)
    return DONE


def _tenant_row(tenant: Tenant) -> Row:
    return {"id": tenant.id, "name": tenant.name, "domain": tenant.domain}


def _peer_row(peer: Peer) -> Row:
    return {
        "id": peer.id,
        "name": peer.name,
        "addresses": list(peer.addresses),
        "tenantId": peer.tenant_id,
        "dialect": peer.dialect,
        "srtp": peer.srtp,
        "starCodes": peer.star_codes,
    }
