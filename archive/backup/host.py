"""An empty host for a drill: a PostgreSQL of its own in a folder that goes when the drill ends.

Nothing of a running service is touched: the server has its own data and socket, and its
roles have passwords nobody else knows.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from alembic.util import CommandError
from sqlalchemy import make_url

from archive.backup.dump import connected, restore
from archive.catalogue.engine import Catalogue
from archive.catalogue.holdings import Holding, holdings
from archive.catalogue.migrate import DATABASE, ROLES, prepare
from archive.embedded.postgres import EmbeddedPostgres
from archive.errors import Refused

STATEMENT_S_MAX = 600.0
"""Nobody waits for an answer: a list of all recordings may take its time."""

READER, REBUILDER = "earwitness_worker", "earwitness_operator"


class EmptyHost:
    """A server without any table of ours yet."""

    def __init__(self, server_url: str, closing: ExitStack) -> None:
        """Take the URL of the server's superuser, and what closes at the end."""
        self._server_url = server_url
        self._closing = closing
        self._passwords = {role: secrets.token_urlsafe(24) for role in ROLES}

    def restore(self, dump: Iterable[bytes]) -> None:
        """Put a dump into a database and bring it to this release; raises Refused, EmbeddedServiceError."""
        prepare(self._server_url, self._passwords, tables=False)
        restore(self._url(), dump)
        try:
            prepare(self._server_url, {})
        except CommandError as error:
            raise Refused("The dump is of a later release than this one: use that release.") from error

    def prepare(self) -> None:
        """Make the tables of this release, empty."""
        prepare(self._server_url, self._passwords)

    def catalogue(self, role: str) -> Catalogue:
        """Return the catalogue as one of our roles sees it."""
        url = make_url(self._url()).set(username=role, password=self._passwords[role])
        made = Catalogue(url.render_as_string(hide_password=False), timeout_s=STATEMENT_S_MAX)
        self._closing.callback(made.close)
        return made

    def holdings(self) -> tuple[Holding, ...]:
        """Return what the restored catalogue says stands in the bucket."""
        with connected(self._url()) as connection:
            return holdings(connection)

    def _url(self) -> str:
        return make_url(self._server_url).set(database=DATABASE).render_as_string(hide_password=False)


@contextmanager
def empty_host() -> Iterator[EmptyHost]:
    """Yield a host with a running server, and leave nothing of it; raises EmbeddedServiceError."""
    with tempfile.TemporaryDirectory(prefix="earwitness-drill-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        try:
            url = server.start()
            with ExitStack() as closing:
                yield EmptyHost(url, closing)
        finally:
            server.stop()
