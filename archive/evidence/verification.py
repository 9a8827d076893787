"""Checking a package: what `verify.sh` does and the custody, with all that is wrong and not the first only.

A package is as it was signed when the files that are listed are the files that are
there, each with its hash, the list is signed by a certificate of the authority, and
the time-stamp that belongs to it is one over that signature, and as it came. That the entries
of the custody stand in the sealed log is checked beside it (`archive.evidence.custody`).

Rules: nothing is taken from the package but what is checked; the certificates of the
authorities come from whoever asks. What a signature says of its time counts only
without a time-stamp. Reading never follows a link.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from archive.errors import Refused, VerificationFailed
from archive.evidence.asic import (
    ASIC_FILES,
    ASIC_MANIFEST,
    ASIC_SIGNATURE,
    MEDIA_TYPE,
    MIMETYPE,
    asic_manifest,
)
from archive.evidence.bag import (
    BAG_INFO,
    BAGIT,
    MANIFEST,
    PAYLOAD,
    SIGNATURE,
    TAG_MANIFEST,
    TIMESTAMP,
    TIMESTAMP_SIGNATURE,
    check_name,
    read_manifest,
)
from archive.evidence.custody import CustodyProof, check_custody
from archive.timestamp import stamped_at
from archive.transparency.checkpoint import PublicKey
from keys.errors import SealBroken

SMALL_FILE_BYTES_MAX = 64 * 1024 * 1024
"""A manifest of FILES_COUNT_MAX files has some 30 MB; more is no file to read whole."""

STAMP_REQUIRED = "Timestamp-Required"


@dataclass(frozen=True)
class Verdict:
    """What was found: nothing in `faults` means that the package is as it was signed."""

    faults: tuple[str, ...]
    files_count: int
    signer: str | None = None
    stamped_at: datetime | None = None
    custody: CustodyProof = field(default_factory=CustodyProof)

    @property
    def is_sound(self) -> bool:
        """Whether nothing was added, changed or taken away."""
        return not self.faults


@dataclass(frozen=True)
class Trust:
    """Whom the one who checks trusts: who signs packages, who stamps time (their roots), and the log."""

    authority: x509.Certificate
    timestamp_authorities: tuple[x509.Certificate, ...] = ()
    log_key: PublicKey | None = None
    """The key of the audit log, from another way; without it the one inside the package is taken."""

    def authority_fingerprint(self) -> str:
        """Return SHA-256 of the authority's certificate in hexadecimal, to compare with the published one."""
        return self.authority.fingerprint(hashes.SHA256()).hex()


def verify_package(folder: Path, trust: Trust, now: datetime) -> Verdict:
    """Check the package in `folder`; `now` counts where there is no time-stamp.

    Never raises for what is wrong with a package: that stands in the verdict. Raises
    OSError when it can't be read.
    """
    faults: list[str] = []
    present = _present(folder, faults)
    container = frozenset(name for name in present if name in ASIC_FILES)
    present -= container
    tags, payload = (_listed(folder, name, faults) for name in (TAG_MANIFEST, MANIFEST))
    faults += [
        f"{name} is listed as evidence and is none" for name in payload if not name.startswith(PAYLOAD)
    ]
    required = _is_stamp_required(folder, faults)
    own = {TAG_MANIFEST, SIGNATURE, *((TIMESTAMP, TIMESTAMP_SIGNATURE) if required else ())}
    listed = {**payload, **tags}
    faults += [f"{name} is missing" for name in sorted((listed.keys() | own) - present)]
    faults += [f"{name} is not listed" for name in sorted(present - listed.keys() - own)]
    faults += [f"{name} does not explain itself" for name in (BAGIT, BAG_INFO, MANIFEST) if name not in tags]
    hashes = {name: _hash(folder / name) for name in present}
    faults += [
        f"{name} was changed" for name in sorted(listed.keys() & present) if hashes[name] != listed[name]
    ]
    signer, stamped_at = (
        _signed(folder, trust, now, faults) if {SIGNATURE, TAG_MANIFEST} <= present else (None, None)
    )
    if container:
        faults += _container_faults(folder, container, hashes, trust, stamped_at or now)
    custody = check_custody(folder, present, trust.log_key, faults)
    return Verdict(tuple(faults), len(present | container), signer, stamped_at, custody)


def _container_faults(
    folder: Path, container: frozenset[str], hashes: Mapping[str, str], trust: Trust, at: datetime
) -> list[str]:
    """Check the files that make an ASiC-E container of a package: all of them, over all of the others."""
    from keys.cms import is_issued_by, verify_detached  # noqa: PLC0415 - who only makes packages needs no ASN.1

    faults = [f"{name} is missing" for name in ASIC_FILES if name not in container]
    if faults:
        return faults
    try:
        if _small(folder / MIMETYPE) != MEDIA_TYPE.encode():
            faults.append(f"{MIMETYPE} was changed")
        listed = _small(folder / ASIC_MANIFEST)
        if listed != asic_manifest(hashes.items()):
            faults.append(f"{ASIC_MANIFEST} is not of the files that are there")
        signed = verify_detached(_small(folder / ASIC_SIGNATURE), listed)
    except (SealBroken, Refused):
        return [*faults, f"{ASIC_SIGNATURE} is not the signature of {ASIC_MANIFEST}"]
    if not is_issued_by(signed.certificate, trust.authority, at):
        faults.append(f"{ASIC_SIGNATURE} is of nobody the trusted authority vouched for at that time")
    return faults


def _present(folder: Path, faults: list[str]) -> set[str]:
    found: set[str] = set()
    for entry in _walk(folder):
        name = Path(entry.path).relative_to(folder).as_posix()
        try:
            check_name(name)
        except Refused as error:
            faults.append(str(error))
            continue
        if entry.is_file(follow_symlinks=False):
            found.add(name)
        elif not entry.is_dir(follow_symlinks=False):
            faults.append(f"{name} is neither a file nor a folder")
    return found


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path))


def _listed(folder: Path, name: str, faults: list[str]) -> dict[str, str]:
    try:
        return read_manifest(_small(folder / name))
    except (Refused, OSError) as error:
        faults.append(f"{name} can't be read: {error}")
        return {}


def _is_stamp_required(folder: Path, faults: list[str]) -> bool:
    """Read it from the signed information, so that nobody takes a stamp away unseen."""
    try:
        lines = _small(folder / BAG_INFO).decode("utf-8", "replace").splitlines()
    except (OSError, Refused) as error:
        faults.append(f"{BAG_INFO} can't be read: {error}")
        return False
    said = [line.partition(": ")[2] for line in lines if line.startswith(f"{STAMP_REQUIRED}:")]
    if said not in (["yes"], ["no"]):
        faults.append(f"{BAG_INFO} does not say whether a time-stamp belongs to the package")
    return said == ["yes"]


def _signed(
    folder: Path, trust: Trust, now: datetime, faults: list[str]
) -> tuple[str | None, datetime | None]:
    from keys.cms import is_issued_by, verify_detached  # noqa: PLC0415 - as above

    stamped_at = None
    try:
        signature = _small(folder / SIGNATURE)
        if (folder / TIMESTAMP).is_file():
            stamped_at = _stamped_at(_small(folder / TIMESTAMP), signature, trust)
            if stamped_at is None:
                faults.append("the time-stamp is not of this signature, or of nobody who is trusted")
        signed = verify_detached(signature, _small(folder / TAG_MANIFEST))
    except (SealBroken, Refused):
        faults.append("the signature is not of this package")
        return None, stamped_at
    at = stamped_at or now
    if not is_issued_by(signed.certificate, trust.authority, at):
        faults.append("the signature is of nobody the trusted authority vouched for at that time")
    if (folder / TIMESTAMP).is_file() and not _is_stamp_signed(folder, trust, at):
        faults.append("the time-stamp is not as it came: its signature is missing or of something else")
    return signed.certificate.subject.rfc4514_string(), stamped_at


def _is_stamp_signed(folder: Path, trust: Trust, at: datetime) -> bool:
    from keys.cms import is_issued_by, verify_detached  # noqa: PLC0415 - as above

    try:
        signed = verify_detached(_small(folder / TIMESTAMP_SIGNATURE), _small(folder / TIMESTAMP))
    except (SealBroken, Refused, OSError):
        return False
    return is_issued_by(signed.certificate, trust.authority, at)


def _stamped_at(token: bytes, signature: bytes, trust: Trust) -> datetime | None:
    if not trust.timestamp_authorities:
        return None  # a stamp of nobody who is trusted proves no time
    try:
        return stamped_at(token, signature, trust.timestamp_authorities)
    except VerificationFailed:
        return None


def _small(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(SMALL_FILE_BYTES_MAX + 1)
    if len(data) > SMALL_FILE_BYTES_MAX:
        raise Refused(f"{path.name} has more than {SMALL_FILE_BYTES_MAX} octets.")
    return data


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
