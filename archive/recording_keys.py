"""Data keys of archived recordings, as readers ask for them.

The KEK of a recording may give way to its next version after its row was read
(`archive.rewrap`), and rows are remembered for a while by who listens on. So a data key
whose KEK is gone is asked for once more, by what the row says now.

Not here: making keys and wrapping them (`archive.data_key`).
"""

from __future__ import annotations

from archive.catalogue import keks
from archive.catalogue.engine import Catalogue
from archive.data_key import DataKey, Vault, open_data_key
from archive.errors import NotFound
from archive.model import ArchivedRecording


class RecordingKeys:
    """Opens the data keys of recordings; safe to share among threads."""

    def __init__(self, vault: Vault, catalogue: Catalogue) -> None:
        """Take where the KEKs and where the rows are."""
        self._vault = vault
        self._catalogue = catalogue

    def open(self, archived: ArchivedRecording) -> DataKey:
        """Return the data key of a recording; raises as `archive.data_key.open_data_key`."""
        place = (archived.recording.tenant_id, archived.recording.id)
        try:
            return open_data_key(self._vault, *place, archived.kek_id, archived.wrapped_key)
        except NotFound:
            now = keks.key_of(self._catalogue, *place)
            if now.kek_id == archived.kek_id:
                raise
            return open_data_key(self._vault, *place, now.kek_id, now.wrapped)
