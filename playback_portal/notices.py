"""One thread and one connection that hear PostgreSQL's notifications for the whole process.

Whoever waits for news of a channel is told by a call into this thread: at each
notification, whenever it may have missed one because the connection was away, and, where
that is asked for, every TICK_S. A connection that breaks is made again for as long as
the thread lives.

Rules: what is told must be quick and must look for itself what is new; a notification
says only that there is something.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from archive.catalogue.engine import Catalogue
from archive.errors import ArchiveError

TICK_S = 0.25
"""Without notifications an answer is found this much later: still within a person's patience."""

STOP_S_MAX = 10.0
"""Longer than any statement of the thread may take."""

_log = structlog.get_logger()


class Notices:
    """Tells `tell` of every notification on `channel`, from a thread of its own."""

    def __init__(self, catalogue: Catalogue, channel: str, tell: Callable[[], None], *, ticks: bool) -> None:
        """Remember whom to tell, with `ticks` every TICK_S too; nothing is connected before `start`."""
        self._catalogue = catalogue
        self._channel = channel
        self._tell = tell
        self._ticks = ticks
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"notices {channel}", daemon=True)

    def start(self) -> None:
        """Begin to listen, once; whether the database is there now makes no difference."""
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """End the thread and its connection; one that was never started has none."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_S_MAX)

    def _run(self) -> None:
        heard = True
        while not self._stopped.is_set():
            try:
                with self._catalogue.listen(self._channel) as listener:
                    if not heard:
                        heard = True
                        _log.info("notifications are heard again", channel=self._channel)
                    # The first turn finds what came before anybody listened.
                    news = True
                    while not self._stopped.is_set():
                        if news or self._ticks:
                            self._tell()
                        news = listener.wait(TICK_S)
            except ArchiveError as error:
                if heard:
                    heard = False
                    _log.warning(
                        "notifications are not heard", channel=self._channel, reason=type(error).__name__
                    )
                self._stopped.wait(TICK_S)
