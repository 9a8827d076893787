"""The dialogs of exempt calls: bounded, and asked now and then whether they still live.

Nothing of such a call is kept but its dialog's name in memory, until it ends. A client
that is gone without a BYE must not hold a dialog for ever, and a stranger must not
use up the dialogs that emergency calls of known peers need.

Rules: pure; `now_s` is monotonic. Not here: who is exempt (`recorder.srs.exemption`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from recorder.sip.dialog import DialogId

DIALOGS_MAX = 4096
"""Emergency calls at one time: more than any network of customers makes."""

STRANGER_DIALOGS_MAX = 256
"""For addresses nobody entered yet: enough for a forgotten exchange, too few to crowd others out."""

PROBE_S = 900.0
"""A quarter of an hour: an emergency call is seldom longer, and a dead dialog costs little until then."""


@dataclass
class _Dialog:
    stranger: bool
    heard_s: float


class ExemptDialogs:
    """The exempt dialogs that run now, oldest first."""

    def __init__(self) -> None:
        self._dialogs: dict[DialogId, _Dialog] = {}

    def __len__(self) -> int:
        return len(self._dialogs)

    def __contains__(self, dialog_id: DialogId) -> bool:
        return dialog_id in self._dialogs

    def open(self, dialog_id: DialogId, now_s: float, *, stranger: bool) -> DialogId | None:
        """Enter a dialog; returns the oldest one of its kind, to be forgotten, when there are too many."""
        self._dialogs[dialog_id] = _Dialog(stranger, now_s)
        limit = STRANGER_DIALOGS_MAX if stranger else DIALOGS_MAX
        same = [item for item, dialog in self._dialogs.items() if dialog.stranger == stranger]
        if len(same) <= limit:
            return None
        del self._dialogs[same[0]]
        return same[0]

    def close(self, dialog_id: DialogId) -> None:
        """Forget a dialog that ended."""
        self._dialogs.pop(dialog_id, None)

    def heard(self, dialog_id: DialogId, now_s: float) -> None:
        """Note that the client of a dialog answered."""
        if dialog_id in self._dialogs:
            self._dialogs[dialog_id].heard_s = now_s

    def due(self, now_s: float) -> Iterator[DialogId]:
        """Yield the dialogs to probe, each once in `PROBE_S`."""
        for dialog_id, dialog in self._dialogs.items():
            if now_s - dialog.heard_s >= PROBE_S:
                dialog.heard_s = now_s
                yield dialog_id
