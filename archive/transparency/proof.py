"""The proof that an entry stands in the log: from its own text up to a signed checkpoint.

What it tells of other entries, of other customers too, are hashes. Whoever holds it needs
nothing of ours to check it: `archive/transparency/verify_entry.py` does so with Python
and openssl alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from archive.audit_chain import AuditEntry, Json, canonical_json, hashed_form
from archive.catalogue import audit_tree
from archive.catalogue.engine import Catalogue
from archive.errors import Conflict
from archive.transparency.leaves import Leaf
from archive.transparency.tree import inclusion_proof

FORMAT = "earwitness-audit-proof/1"


class NotSealed(Conflict):
    """The entry has no place under a locked checkpoint yet; in a minute it has."""


@dataclass(frozen=True)
class EntryProof:
    """An entry, its place, the hashes beside its way up, and the checkpoint at the top."""

    entry: AuditEntry
    index: int
    size: int
    path: tuple[bytes, ...]
    checkpoint: bytes

    def document(self) -> dict[str, Json]:
        """Return the proof as it is handed out."""
        erased = self.entry.body is None or self.entry.salt is None
        leaf = Leaf(self.entry.writer, self.entry.sequence, self.entry.hash)
        return {
            "format": FORMAT,
            "entry": hashed_form(self.entry).decode(),
            "salt": None if erased else self.entry.salt,
            "body": None if erased else canonical_json(self.entry.body).decode(),
            "leaf": leaf.line(),
            "index": self.index,
            "size": self.size,
            "path": [step.hex() for step in self.path],
            "checkpoint": self.checkpoint.decode(),
        }


def prove(catalogue: Catalogue, entry: AuditEntry) -> EntryProof:
    """Return the proof of an entry under the newest checkpoint in the bucket; raises NotSealed."""
    with catalogue.transaction() as connection:
        log = audit_tree.newest_log(connection)
        number = 0 if log is None else log.number
        row = audit_tree.newest_published(connection, number)
        index = audit_tree.index_of(connection, number, entry.writer, entry.sequence)
        if row is None or index is None or index >= row.size:
            raise NotSealed("This entry is not sealed yet: ask again in a minute.")
        path = inclusion_proof(
            index, row.size, lambda level, place: audit_tree.node(connection, number, level, place)
        )
    return EntryProof(entry, index, row.size, tuple(path), row.note)
