"""Moments that running the instance depends on, told by whoever knows them: when certificates end, for one.

A moment that nobody told is unknown; one that was told as None is of something that is not
used. Rules: of no tenant; told anew at any time, by node where each has its own. Not here:
what is shown of them (`playback_portal.operation`), and findings that have tables of their own
(`worm_proofs`, `scrubs`, `retention_figures`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue.engine import Catalogue
from archive.catalogue.rows import in_utc
from archive.catalogue.tables import known_moments


class Moment(StrEnum):
    """What is told, and by whom."""

    SIP_CERTIFICATE_ENDS = "sip-certificate-ends"
    """By each recorder."""
    SIGNING_CERTIFICATE_ENDS = "signing-certificate-ends"
    """By the worker, which signs."""
    STAMPING_CERTIFICATE_ENDS = "stamping-certificate-ends"
    """By the worker: of the certificates by which time-stamps are checked, the first that ends."""
    ROOT_KEY_SINCE = "root-key-since"
    """By the worker: when the keyring last changed."""
    OLDEST_KEK_EXPIRES = "oldest-kek-expires"
    """By the worker: the day whose recordings the oldest key of the key store ends with."""
    BACKUP_MADE = "backup-made"
    """By the command that made it."""


@dataclass(frozen=True)
class Known:
    """A moment as a node told it `told_at`; `moment` is None for something that is not used."""

    node: str
    moment: datetime | None
    told_at: datetime


def tell(catalogue: Catalogue, node: str, moments: Mapping[Moment, datetime | None], now: datetime) -> None:
    """Remember moments in the place of those the node told last."""
    rows = [
        {"name": name.value, "node": node, "moment": moment, "told_at": now}
        for name, moment in moments.items()
    ]
    made = upsert(known_moments).values(rows)
    renewed = {"moment": made.excluded.moment, "told_at": made.excluded.told_at}
    with catalogue.transaction() as connection:
        connection.execute(made.on_conflict_do_update(index_elements=["name", "node"], set_=renewed))


def known(catalogue: Catalogue) -> dict[Moment, tuple[Known, ...]]:
    """Return what was told, by node; a moment nobody told is not there."""
    names = set(Moment)
    columns = known_moments.c
    found: dict[Moment, tuple[Known, ...]] = {}
    with catalogue.transaction() as connection:
        rows = connection.execute(select(known_moments).order_by(columns.name, columns.node)).all()
    for row in rows:
        if row.name in names:  # a newer release may tell more
            told = Known(row.node, in_utc(row.moment), row.told_at.astimezone(UTC))
            found[Moment(row.name)] = (*found.get(Moment(row.name), ()), told)
    return found
