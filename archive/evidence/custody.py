"""Checking the custody in a package: each entry is whole, and those that were sealed by then are proved.

`custody.jsonl` of a recording holds the entries of the audit log about it, `proofs.jsonl` leads from
as many of them as were sealed to a checkpoint signed by the key of the log. Whoever signs packages
could write a false custody; to prove one takes the key of the log as well.

Rules: never raises for what is wrong with a package. The key comes from whoever asks, or from the
package, which proves less. Not here: the log itself (`archive.transparency.verification`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from archive.audit_chain import AuditEntry, hashed_form, verify_body
from archive.errors import VerificationFailed
from archive.evidence.bag import RECORDINGS
from archive.transparency.checkpoint import PublicKey, open_note, public_key
from archive.transparency.leaves import Leaf
from archive.transparency.tree import verify_inclusion

LOG_KEY = "verify/audit-log-key.txt"
LINE_CHARS_MAX = 1024 * 1024
"""An entry has at most a body of some kilobytes, a proof some fifty hashes."""

_NOT_OURS = (TypeError, ValueError, KeyError, AttributeError, RecursionError, VerificationFailed)
_CUSTODY = re.compile(rf"{RECORDINGS}[^/]+/custody\.jsonl")


@dataclass(frozen=True)
class CustodyProof:
    """How many entries stand in the custodies of a package, and how many of them are proved."""

    entries: int = 0
    proved: int = 0


def check_custody(
    folder: Path, names: Collection[str], known: PublicKey | None, faults: list[str]
) -> CustodyProof:
    """Check every custody among the files `names` of a package, and add to `faults` what is wrong.

    `known` is the key of the log from another way than the package; without it the package's own counts.
    """
    key = known or _own_key(folder, names, faults)
    entries = proved = 0
    for name in sorted(name for name in names if _CUSTODY.fullmatch(name)):
        shown = _entries(folder, name, faults)
        entries += len(shown)
        proofs = name.replace("custody.jsonl", "proofs.jsonl")
        if proofs in names and key is not None:
            proved += _proved(folder, proofs, shown, key, faults)
    return CustodyProof(entries, proved)


def _own_key(folder: Path, names: Collection[str], faults: list[str]) -> PublicKey | None:
    if LOG_KEY not in names:
        return None
    try:
        line = (folder / LOG_KEY).read_text(encoding="ascii").strip()
        return public_key(line) if line else None
    except (OSError, ValueError, VerificationFailed) as error:
        faults.append(f"{LOG_KEY} can't be read: {error}")
        return None


def _entries(folder: Path, name: str, faults: list[str]) -> dict[Leaf, AuditEntry]:
    """Return the entries of a custody by their leaves; what was not written so is a fault."""
    found: dict[Leaf, AuditEntry] = {}
    for number, told in _lines(folder, name, faults):
        try:
            entry = AuditEntry(**{**told, "at": datetime.fromisoformat(told["at"])})
            verify_body(entry)
            if hashlib.sha256(hashed_form(entry)).hexdigest() != entry.hash:
                raise VerificationFailed("it was changed")
            found[Leaf(entry.writer, entry.sequence, entry.hash)] = entry
        except _NOT_OURS:
            faults.append(f"{name}, line {number}: this entry is not as the log wrote it")
    return found


def _proved(folder: Path, name: str, shown: dict[Leaf, AuditEntry], key: PublicKey, faults: list[str]) -> int:
    proved = set()
    for number, proof in _lines(folder, name, faults):
        try:
            leaf = _leaf_of(proof, key)
        except _NOT_OURS:
            faults.append(f"{name}, line {number}: this proof does not lead to a checkpoint of the log")
            continue
        if leaf in shown:
            proved.add(leaf)
        else:
            faults.append(f"{name}, line {number}: what is proved is no entry of the custody")
    return len(proved)


def _leaf_of(proof: dict[str, Any], key: PublicKey) -> Leaf:
    """Return the leaf a proof leads from; raises VerificationFailed and others when it leads nowhere."""
    text = str(proof["entry"])
    said = json.loads(text)
    leaf = Leaf(said["writer"], said["sequence"], hashlib.sha256(text.encode()).hexdigest())
    checkpoint = open_note(proof["checkpoint"].encode(), {key.id: key})
    path = [bytes.fromhex(step) for step in proof["path"]]
    leads = verify_inclusion(leaf.hash(), proof["index"], checkpoint.size, path, checkpoint.root)
    if not leads or proof["leaf"] != leaf.line() or proof["size"] != checkpoint.size:
        raise VerificationFailed("it leads nowhere")
    return leaf


def _lines(folder: Path, name: str, faults: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with (folder / name).open(encoding="utf-8") as file:
            for number, line in enumerate(iter(lambda: file.readline(LINE_CHARS_MAX + 1), ""), start=1):
                told = json.loads(line) if len(line) <= LINE_CHARS_MAX else None
                if not isinstance(told, dict):
                    faults.append(f"{name}, line {number}: this is no entry")
                    return
                yield number, told
    except (OSError, ValueError, RecursionError) as error:
        faults.append(f"{name} can't be read: {error}")
