"""`earwitness user invite`, `user reset-second-factor`, and `earwitness sign-in`: who gets in, and how.

Rules: a link or secret is never an argument, for arguments stand in the process list. What
happens stands in the audit log.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from archive.catalogue import (
    directory,
    identities,
    identity_providers,
    invitations,
    portal_sessions,
    second_factors,
)
from archive.catalogue.identities import Account
from archive.catalogue.identity_providers import FIELD_CHARS_MAX, Provider
from archive.catalogue.invitations import Kind
from archive.cli.licences import person
from archive.cli.operator import Operator, operator
from archive.cli.outcome import DONE, Row, add_json, parser, print_row
from archive.cli.service import add_data, settings_of
from archive.cli.vault import open_keyring
from archive.errors import NotFound, Refused
from archive.mail import server_of
from archive.post import Letter, MailPost, NoPost, Post, address_changed

ACTIONS = ("invite", "reset-second-factor", "unlink")
BY = {"nl": "de aanbieder van de dienst", "en": "the operator of the service"}
LANGUAGES = tuple(BY)


def add_actions(actions: Any) -> None:
    """Add the actions of this module to those of `earwitness user`."""
    invite = actions.add_parser(
        "invite",
        help="mail a person a link to choose a password",
        epilog="example: earwitness user invite anna@jansen.example --email anna@jansen.example",
    )
    reset = actions.add_parser(
        "reset-second-factor",
        help="take all second factors of a person away and end their sessions",
        epilog="example: earwitness user reset-second-factor anna@jansen.example",
    )
    unlink = actions.add_parser(
        "unlink",
        help="let a person be linked anew to their account at the customer's provider",
        epilog="example: earwitness user unlink anna@jansen.example",
    )
    for each in (invite, reset, unlink):
        each.add_argument("login", metavar="LOGIN@DOMAIN", help="sign-in name and the customer's domain")
    invite.add_argument("--email", required=True, metavar="ADDRESS", help="where the link goes")
    invite.add_argument("--language", choices=LANGUAGES, default="nl", help="of the mail (default: nl)")
    invite.add_argument(
        "--print-link",
        action="store_true",
        help="print the link instead of mailing it; it works once, and proves no address",
    )


def run(acting: Operator, options: argparse.Namespace, post: Post | None = None) -> int:
    """Run one of ACTIONS."""
    user, tenant = person(acting, options.login)
    account = Account(tenant.id, user.id)
    if options.action == "reset-second-factor":
        with acting.audit.transaction(tenant.id) as connection:
            second_factors.reset(connection, account)
            acting.record_within(connection, "second-factor.reset", user.id, tenant.id, at=acting.clock.now())
        print_row({"login": options.login, "result": "reset"}, as_json=options.json)
        return DONE
    if options.action == "unlink":
        with acting.audit.transaction(tenant.id) as connection:
            if not identities.unlink(connection, account):
                raise NotFound(f"{options.login} is not linked to any account of a provider.")
            portal_sessions.end_all(connection, tenant.id, user.id)
            acting.record_within(connection, "identity.unlinked", user.id, tenant.id, at=acting.clock.now())
        print_row({"login": options.login, "result": "unlinked"}, as_json=options.json)
        return DONE
    url, taking = _portal_url(options), post or _post(acting, options)
    with acting.audit.transaction(tenant.id) as connection:
        before = identities.email_of(connection, account)
        email = identities.set_email(connection, account, options.email)
        token = invitations.make(
            connection, account, Kind.INVITATION, now=acting.clock.now(), mailed=not options.print_link
        )
        fields = {"link": f"{url}/invitation/{token}", "login": options.login, "organisation": tenant.name}
        if not options.print_link:
            letter = Letter(tenant.id, Kind.INVITATION.value, email, options.language, fields)
            taking.queue(connection, letter)
        # Without a mail server there is nobody to tell it; the audit log does.
        if before not in {None, email} and (post is not None or server_of(settings_of(options)) is not None):
            told = {"login": options.login, "organisation": tenant.name, "by": BY[options.language]}
            taking.queue(connection, address_changed(tenant.id, str(before), options.language, told))
        acting.record_within(connection, "user.invited", user.id, tenant.id, at=acting.clock.now())
    row: Row = {"login": options.login, "email": email, "result": "invited"}
    print_row({**row, "link": fields["link"]} if options.print_link else row, as_json=options.json)
    return DONE


def run_sign_in(arguments: list[str]) -> int:
    """Say by which provider the people of a customer sign in, or that they no longer do."""
    options = _parser().parse_args(arguments)
    with operator(options) as acting:
        tenant = directory.tenant_by_domain(acting.catalogue, options.tenant)
        if options.action == "remove":
            with acting.audit.transaction(tenant.id) as connection:
                if not identity_providers.remove_provider(connection, tenant.id):
                    raise NotFound(f"{options.tenant} signs in by no provider.")
                acting.record_within(
                    connection, "identity-provider.removed", tenant.id, tenant.id, at=acting.clock.now()
                )
            print_row({"tenant": options.tenant, "result": "removed"}, as_json=options.json)
            return DONE
        secret = sys.stdin.readline(FIELD_CHARS_MAX + 2).rstrip("\r\n")
        provider = Provider(
            options.issuer,
            options.client_id,
            secret,
            options.trust_second_factor,
            options.logins_are_addresses,
        )
        root = open_keyring(settings_of(options))
        with acting.audit.transaction(tenant.id) as connection:
            identity_providers.set_provider(connection, root, tenant.id, provider)
            acting.record_within(
                connection, "identity-provider.set", tenant.id, tenant.id, at=acting.clock.now()
            )
        row: Row = {
            "tenant": options.tenant,
            "issuer": provider.issuer,
            "clientId": provider.client_id,
            "trustsSecondFactor": provider.trusts_second_factor,
            "loginsAreAddresses": provider.logins_are_addresses,
        }
        print_row(row, as_json=options.json)
    return DONE


def _parser() -> argparse.ArgumentParser:
    made = parser(
        "sign-in",
        "Single sign-on: the OpenID provider of a customer. Its redirect address is "
        "PORTAL/sign-in/callback. The client secret is read from standard input.",
        "earwitness sign-in set jansen.example --issuer https://login.jansen.example --client-id earwitness",
    )
    actions = made.add_subparsers(dest="action", required=True, metavar="set|remove")
    setting = actions.add_parser("set", help="sign in by this provider", epilog=made.epilog)
    removing = actions.add_parser(
        "remove",
        help="no longer sign in by a provider",
        epilog="example: earwitness sign-in remove jansen.example",
    )
    for each in (setting, removing):
        each.add_argument("tenant", metavar="DOMAIN", help="the customer")
        add_data(each)
        add_json(each)
    setting.add_argument("--issuer", required=True, metavar="URL", help="https address of the provider")
    setting.add_argument("--client-id", required=True, metavar="NAME", help="our name there")
    setting.add_argument(
        "--trust-second-factor",
        action="store_true",
        help="a second factor the provider asked counts here too (claim amr: mfa)",
    )
    setting.add_argument(
        "--logins-are-addresses",
        action="store_true",
        help="LOGIN@DOMAIN is the person's mailbox at the customer, so that nobody else can have it: "
        "the provider's word for it links them at the first time, without an invitation",
    )
    return made


def _post(acting: Operator, options: argparse.Namespace) -> Post:
    """Return what takes letters in; a worker finds them within a minute."""
    settings = settings_of(options)
    if server_of(settings) is None:
        return NoPost()
    return MailPost(open_keyring(settings), acting.clock)


def _portal_url(options: argparse.Namespace) -> str:
    url = settings_of(options).portal_url
    if not url:
        raise Refused("Links lead to the portal: set EARWITNESS_PORTAL_URL, or use --data.")
    return url.rstrip("/")
