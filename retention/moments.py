"""The moments a worker knows: when what signs here ends, and how old the keys are.

Rules: told as often as the figures of retention are counted. What can't be found out is not
told, so that it shows as what was told last, with its age. Not here: who shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from archive.catalogue import moments
from archive.catalogue.engine import Catalogue
from archive.catalogue.moments import Moment
from archive.certificate import chain_ends
from archive.cli.vault import kek_days, open_key_store, root_since
from archive.errors import ArchiveError
from archive.settings import Settings
from keys.errors import KeysError
from keys.signatory import Signatory

NODE = ""
"""What signs is the archive's, whichever machine the worker runs on."""

_log = structlog.get_logger()


def tell_moments(
    catalogue: Catalogue, settings: Settings, signatory: Callable[[], Signatory], now: datetime
) -> None:
    """Tell what is known now; raises CatalogueUnavailable."""
    found: dict[Moment, datetime | None] = {}
    asked: dict[Moment, Callable[[], datetime | None]] = {
        Moment.SIGNING_CERTIFICATE_ENDS: lambda: signatory().certificate.not_valid_after_utc,
        Moment.STAMPING_CERTIFICATE_ENDS: lambda: (
            chain_ends(settings.tsa_certificates) if settings.tsa_url else None
        ),
        Moment.OLDEST_KEK_EXPIRES: lambda: min(kek_days(open_key_store(settings)), default=None),
    }
    for name, ask in asked.items():
        try:
            found[name] = ask()
        except (ArchiveError, KeysError) as error:
            _log.warning("a moment is not known", name=name.value, reason=str(error))
    since = root_since(settings)
    if since is not None:
        found[Moment.ROOT_KEY_SINCE] = since
    if found:
        moments.tell(catalogue, NODE, found, now)
