"""`earwitness tenant grounds`: why a customer records, shown, or written down as was agreed with them.

What is given is a whole new version: what is left out is not taken from the one before.
"""

from __future__ import annotations

import argparse

from archive.catalogue import directory, grounds
from archive.catalogue.grounds import Version
from archive.cli.operator import Operator
from archive.cli.outcome import Row
from archive.errors import Refused
from archive.grounds import Grounds, LegalBasis, Telling

WORDS = ("purpose", "legal_basis", "balancing", "notice_nl", "notice_en", "told_by")


def add_words(made: argparse.ArgumentParser) -> None:
    """Add the options that say why a customer records."""
    made.add_argument("domain", metavar="DOMAIN", help="the customer")
    made.add_argument("--purpose", action="append", metavar="TEXT", help="a purpose of recording; repeatable")
    made.add_argument("--legal-basis", choices=[*map(str, LegalBasis)], help="the point of GDPR article 6(1)")
    made.add_argument("--balancing", metavar="TEXT", help="for a legitimate interest: why it outweighs")
    made.add_argument("--notice-nl", metavar="TEXT", help="what callers and employees are told, in Dutch")
    made.add_argument("--notice-en", metavar="TEXT", help="the same in English")
    made.add_argument(
        "--told-by", action="extend", nargs="+", choices=[*map(str, Telling)], help="how they are told"
    )


def run(acting: Operator, options: argparse.Namespace) -> Row:
    """Write down what is given, or show what is in force; raises NotFound, Refused."""
    tenant = directory.tenant_by_domain(acting.catalogue, options.domain)
    if all(getattr(options, each) is None for each in WORDS):
        return _row(tenant.domain, grounds.current(acting.catalogue, tenant.id))
    if options.legal_basis is None:
        raise Refused("Name the legal basis too: --legal-basis.")
    wanted = Grounds(
        purposes=tuple(options.purpose or ()),
        legal_basis=LegalBasis(options.legal_basis),
        balancing=options.balancing or "",
        notice_nl=options.notice_nl or "",
        notice_en=options.notice_en or "",
        told_by=tuple(map(Telling, options.told_by or ())),
    )
    now = acting.clock.now()
    with acting.audit.transaction(tenant.id) as connection:
        version = grounds.register(connection, tenant.id, wanted, acting.actor, now=now)
        directory.announce(connection)
        acting.record_within(connection, "grounds.registered", version.id, tenant.id, at=now)
    return _row(tenant.domain, version)


def _row(domain: str, version: Version | None) -> Row:
    told = None if version is None else version.grounds
    return {
        "domain": domain,
        "purposes": "" if told is None else "; ".join(told.purposes),
        "legalBasis": "" if told is None else str(told.legal_basis),
        "balancing": "" if told is None else told.balancing,
        "noticeNl": "" if told is None else told.notice_nl,
        "noticeEn": "" if told is None else told.notice_en,
        "toldBy": "" if told is None else " ".join(told.told_by),
        "standard": version is not None and version.standard,
        "registeredAt": "" if version is None else version.registered_at.isoformat(),
        "registeredBy": "" if version is None else version.registered_by,
    }
