"""What is in a package: of each recording the sound, what is known of it, and who did what with it.

    data/report-nl.html, report-en.html       for people
    data/recordings/<id>/audio.flac           as it was archived, octet for octet
                        /record.json          the facts, with the hashes it was archived with
                        /timeline.json        pauses, holds and losses, each stream's quality
                        /metadata.json        what the exchange said, revision by revision
                        /siprec-NNN.xml       the same bodies as they came
                        /vcon.json            the IETF's exchange format (`vcon`)
                        /custody.jsonl        the audit log of this recording, oldest first
                        /proofs.jsonl         that those entries stand in the sealed log
    verify/verify.sh, authority.pem, VERIFY.txt
    verify/verify_entry.py, audit-log-key.txt for the proofs

Rules: each object is opened by `archive.playback`, so that the right is asked and the
audit entry durable before its first octet leaves, and what was altered in the store
stops the package by name. After a crash the same call goes on where it stopped. No
sound of a pause is anywhere, since none was kept.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.resources import files

from pydantic import TypeAdapter

from archive.access import AccessScope
from archive.audit import AuditEntry, canonical_json
from archive.catalogue import audit_entries, grounds, recordings, waveforms
from archive.catalogue.engine import Catalogue
from archive.catalogue.exports import Container
from archive.catalogue.grounds import Version
from archive.errors import Refused, VerificationFailed
from archive.evidence import authorities, report, vcon
from archive.evidence.bag import PAYLOAD, RECORDINGS, Bag, BagFile, Origin, Shelf
from archive.evidence.seal import seal_bag
from archive.evidence.verification import STAMP_REQUIRED
from archive.model import ArchivedRecording, ObjectKind, RecordingId
from archive.playback import Action, Playback
from archive.timestamp import Stamper
from archive.transparency.proof import NotSealed, prove
from archive.waveform import Waveform
from keys.signatory import Signatory

RECORDINGS_COUNT_MAX = 10_000
"""Ten files each, half of what a bag holds; a case of more is exported in parts."""

XML_TYPES = ("application/rs-metadata+xml", "application/rs-metadata", "application/xml", "text/xml")

Progress = Callable[[int, int], None]
"""Told how many recordings are done, and of how many."""


@dataclass(frozen=True)
class Commission:
    """What is asked for: which recordings, as whom, why, in what, and the names that stand in the report.

    Of a case, `case_id` is which, and `left_out` how many of its recordings have no sound to export.
    `own_name` is what the organisation calls itself, where its provider wrote down another name: a name
    that somebody typed stands beside the other one, and in nothing that is checked.
    """

    scope: AccessScope
    recording_ids: tuple[RecordingId, ...]
    reference: str
    purpose: str
    requested_by: str
    organisation: str
    container: Container = Container.ZIP
    case_id: str | None = None
    left_out: int = 0
    own_name: str = ""


@dataclass(frozen=True)
class TimeStamping:
    """An authority of time, and the certificate by which others check its stamps."""

    authority: Stamper
    root_pem: bytes


class Packer:
    """Makes packages; keeps nothing between them."""

    def __init__(
        self,
        playback: Playback,
        catalogue: Catalogue,
        signatory: Signatory,
        stamping: TimeStamping | None = None,
        log_key: Callable[[], str] = lambda: "",
    ) -> None:
        """Take what a package is made with; without `stamping` it says that no time-stamp belongs to it.

        `log_key` gives the line by which checkpoints of the audit log are verified.
        """
        self._log_key = log_key
        self._playback = playback
        self._catalogue = catalogue
        self._signatory = signatory
        self._stamping = stamping

    def pack(
        self, commission: Commission, shelf: Shelf, now: datetime, progress: Progress = lambda *_: None
    ) -> tuple[BagFile, ...]:
        """Put the package on a shelf and return all of its files.

        Raises Refused for no or too many recordings, `NotFound` and `Refused` for one
        the scope may not take out, `VerificationFailed` naming the recording when a
        stored object is not what was archived, `DependencyUnavailable`; then the shelf
        holds what was done, and the same call goes on from there.
        """
        ids = tuple(dict.fromkeys(commission.recording_ids))
        if not 1 <= len(ids) <= RECORDINGS_COUNT_MAX:
            raise Refused(f"A package has 1 to {RECORDINGS_COUNT_MAX} recordings, not {len(ids)}.")
        bag = Bag(shelf)
        exhibits = []
        for done, recording_id in enumerate(ids):
            progress(done, len(ids))
            exhibits.append(self._recording(bag, commission, recording_id))
        self._explain(bag, commission, tuple(exhibits))
        tags = bag.close(self._info(commission, now))
        authority = self._stamping.authority if self._stamping else None
        asic = commission.container is Container.ASICE
        files = seal_bag(bag, tags, self._signatory, authority, now, asic=asic)
        progress(len(ids), len(ids))
        return files

    def _recording(self, bag: Bag, commission: Commission, recording_id: RecordingId) -> report.Exhibit:
        archived = recordings.get(self._catalogue, commission.scope, recording_id)
        place = f"{RECORDINGS}{recording_id}/"
        if not bag.adopt(place):
            try:
                self._add_recording(bag, commission, archived, place)
            except VerificationFailed as error:
                told = f"Recording {recording_id}: {error} No package is made of it."
                raise VerificationFailed(told) from error
            bag.finish(place)
        return report.Exhibit(archived.recording, self._waveform(archived), self._why(archived))

    def _add_recording(
        self, bag: Bag, commission: Commission, archived: ArchivedRecording, place: str
    ) -> None:
        recording = archived.recording

        def sealed(kind: ObjectKind) -> Iterator[bytes]:
            reader = self._playback.open_archived(
                commission.scope, archived, kind, Action.EXPORT, purpose=commission.purpose
            )
            return reader.chunks(0, reader.length)

        sound = Origin(recording.id, ObjectKind.AUDIO)
        audio = bag.add(place + vcon.AUDIO_NAME, sealed(ObjectKind.AUDIO), sound)
        if audio.sha256 != recording.sha256:
            raise VerificationFailed("This is not the sound that was archived; report it.")
        metadata = b"".join(sealed(ObjectKind.METADATA))
        bag.add(place + "record.json", (_record(archived),))
        bag.add(place + "timeline.json", sealed(ObjectKind.TIMELINE))
        bag.add(place + "metadata.json", (metadata,))
        for number, body in enumerate(_bodies(metadata), start=1):
            bag.add(f"{place}siprec-{number:03}.xml", (body,))
        bag.add(place + "vcon.json", (vcon.document(recording, bytes.fromhex(audio.sha512)),))
        entries = self._custody(archived)
        bag.add(place + "custody.jsonl", (_entry(entry) + b"\n" for entry in entries))
        bag.add(place + "proofs.jsonl", self._proofs(entries))

    def _waveform(self, archived: ArchivedRecording) -> Waveform | None:
        recording = archived.recording
        with self._catalogue.transaction(recording.tenant_id) as connection:
            return waveforms.of_recordings(connection, [recording.id]).get(recording.id)

    def _why(self, archived: ArchivedRecording) -> Version | None:
        """Return what its customer had written down when the recording began."""
        recording = archived.recording
        with self._catalogue.transaction(recording.tenant_id) as connection:
            return grounds.in_force(connection, recording.tenant_id, recording.started_at)

    def _custody(self, archived: ArchivedRecording) -> list[AuditEntry]:
        recording = archived.recording
        history = audit_entries.history(self._catalogue, recording.tenant_id, f"recording:{recording.id}")
        return sorted(history, key=lambda one: (one.at, one.writer, one.sequence))

    def _proofs(self, entries: Iterable[AuditEntry]) -> Iterator[bytes]:
        """Return the proofs of entries, as far as they are sealed: the newest of this very export are not."""
        for entry in entries:
            with contextlib.suppress(NotSealed):
                yield canonical_json(prove(self._catalogue, entry).document()) + b"\n"

    def _explain(self, bag: Bag, commission: Commission, exhibits: tuple[report.Exhibit, ...]) -> None:
        subject = report.Subject(
            commission.reference,
            commission.organisation,
            commission.purpose,
            commission.requested_by,
            self._signatory.authority_fingerprint(),
            authorities.script_sha256(),
            commission.own_name,
        )
        for language in report.LANGUAGES:
            # Each report is a part of its own: that of a full package has some 50 MB.
            name = f"{PAYLOAD}report-{language}.html"
            if not bag.adopt(name):
                bag.add(name, (report.page(subject, exhibits, language),))
                bag.finish(name)
        bag.add("verify/verify.sh", (authorities.script(),))
        bag.add("verify/VERIFY.txt", ((files("archive.evidence") / "VERIFY.txt").read_bytes(),))
        checker = (files("archive.transparency") / "verify_entry.py").read_bytes()
        bag.add("verify/verify_entry.py", (checker,))
        bag.add("verify/audit-log-key.txt", (self._log_key().encode(),))
        bag.add("verify/authority.pem", (self._signatory.authority_pem(),))
        if self._stamping:
            bag.add("verify/timestamp-authority.pem", (self._stamping.root_pem,))

    def _info(self, commission: Commission, now: datetime) -> dict[str, str]:
        return {
            "Source-Organization": commission.organisation,
            "External-Identifier": commission.reference,
            "External-Description": commission.purpose,
            "Contact-Name": commission.requested_by,
            "Bagging-Date": now.date().isoformat(),
            "Bag-Software-Agent": "earwitness",
            **_case_lines(commission),
            STAMP_REQUIRED: "yes" if self._stamping else "no",
        }


def _case_lines(commission: Commission) -> dict[str, str]:
    """Return what the information of a package says of the case it is of; nothing without one."""
    if commission.case_id is None:
        return {}
    return {"Case-Identifier": commission.case_id, "Case-Recordings-Left-Out": str(commission.left_out)}


def _record(archived: ArchivedRecording) -> bytes:
    """Return the facts of a recording and the hashes of its objects; no key is among them."""
    content = {
        "recording": asdict(archived.recording),
        "objects": [
            {
                "kind": stored.kind.value,
                "plaintextBytes": stored.plaintext_bytes,
                "plaintextSha256": stored.plaintext_sha256,
                "ciphertextBytes": stored.ciphertext_bytes,
                "ciphertextSha256": stored.ciphertext_sha256,
                "key": stored.key,
                "versionId": stored.version_id,
            }
            for stored in archived.objects
        ],
    }
    return TypeAdapter(object).dump_json(content, indent=1) + b"\n"


def _bodies(metadata: bytes) -> Iterator[bytes]:
    """Return the bodies the exchange sent that are XML, in the order they came."""
    for revision in json.loads(metadata).get("revisions", ()):
        if str(revision.get("contentType", "")).partition(";")[0].strip().lower() in XML_TYPES:
            yield base64.b64decode(revision["bodyBase64"])


def _entry(entry: AuditEntry) -> bytes:
    """Return one entry of the log, with all that its hash is made of."""
    return canonical_json({**asdict(entry), "at": entry.at.isoformat()})
