"""Making exports of evidence, one recording after the other, and clearing up behind them.

Rules: done as the auditor who asked, whose right is asked again at each recording. What
breaks a rule or fails its check ends the export with the reason; what was away is tried
again and goes on behind the last finished recording. Once its time is over, nothing of
it is left but its row. Who asked is told by mail when it is ready or failed, with nothing of the
calls in it: not even the reference, which somebody typed.

Not here: what is in a package (`archive.evidence.package`), when jobs run (`retention.worker`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from cryptography.hazmat.primitives.serialization import Encoding

from archive.audit import AuditWriter, Json
from archive.catalogue import accounts, audit_tree, brandings, exports, keks, notifications, people
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.exports import Export, ExportState
from archive.clock import Clock
from archive.data_key import translated_key_errors
from archive.errors import (
    ArchiveError,
    CatalogueUnavailable,
    Conflict,
    NotFound,
    Refused,
    VerificationFailed,
)
from archive.evidence.exports import Download, SealedShelf, objects_prefix
from archive.evidence.package import Commission, Packer, TimeStamping
from archive.evidence.subject_index import Letterhead
from archive.evidence.subject_package import SubjectCommission, SubjectPacker
from archive.key_end import destroy_kek
from archive.model import TenantId
from archive.playback import Playback
from archive.post import Letter, Post
from archive.settings import Settings
from archive.store.object import Store
from archive.timestamp import authority_of, certificates_in
from archive.transparency.checkpoint import PublicKey
from keys.kek import KekVault
from keys.signatory import Signatory
from keys.signing_key import SigningKey

log = structlog.get_logger()
ACTOR = "worker"
EXPORTS_PAGE = "/exports"


@dataclass(frozen=True)
class Notices:
    """How people are told: who takes letters in, and the address of the portal that stands in them."""

    post: Callable[[], Post]
    url: str


def stamping_of(settings: Settings) -> TimeStamping | None:
    """Return who stamps the time of packages: an authority whose certificates are set, for others to check.

    Raises Refused.
    """
    authority = authority_of(settings)
    if authority is None or settings.tsa_certificates is None:
        return None
    certificates = certificates_in(settings.tsa_certificates)
    return TimeStamping(authority, b"".join(each.public_bytes(Encoding.PEM) for each in certificates))


class Exports:
    """Makes and forgets exports; any number of processes may, one export by one at a time."""

    def __init__(  # noqa: PLR0917 - what it stands on, named by its one caller
        self,
        store: Store,
        vault: Callable[[], KekVault],
        catalogue: Catalogue,
        audit: AuditWriter,
        clock: Clock,
        due_time: Callable[[], datetime],
        signatory: Callable[[], Signatory],
        stamping: TimeStamping | None = None,
        log_key: Callable[[], SigningKey] | None = None,
        notices: Notices | None = None,
    ) -> None:
        """Remember what it stands on; without `notices` nobody is told by mail.

        `due_time` tells the time by which exports are over; raises ClockDisbelieved.
        """
        self._due_time = due_time
        self._notices = notices
        self._store = store
        self._vault = vault
        self._catalogue = catalogue
        self._audit = audit
        self._clock = clock
        self._signatory = signatory
        self._stamping = stamping
        self._log_key = log_key

    def make(self, tenant_id: TenantId, export_id: str) -> None:
        """Make an export that waits; raises DependencyUnavailable when it is to be tried again.

        By a clock that is not believed none is made either: its date would stand in the evidence.
        """
        export = exports.get(self._catalogue, tenant_id, export_id)
        if export.state is not ExportState.WAITING or export.ends_at <= self._due_time():
            return
        try:
            size_bytes = self._made(export)
        except (Refused, NotFound, Conflict, VerificationFailed) as error:
            self._settle(export, ExportState.FAILED, reason=str(error))
        else:
            self._settle(export, ExportState.READY, size_bytes=size_bytes)

    def waiting(self, tenant_id: TenantId) -> list[str]:
        """Return the exports of a tenant that are to be made, whoever was asked first."""
        return exports.waiting(self._catalogue, tenant_id)

    def sweep(self, tenant_id: TenantId) -> int:
        """Delete what was made for exports of a tenant whose time is over; return how many there were.

        What a worker that died left beside the parts goes too, and the KEK with the last export of its day.
        One that was asked for by a clock that was ahead ends a week from the time that is believed.
        Raises ClockDisbelieved, and what failed first after the others were tried.
        """
        now = self._due_time()
        if moved := exports.bound(self._catalogue, tenant_id, now=now):
            log.warning("exports were asked for by a clock that was ahead: they end in a week", exports=moved)
        ended = exports.over(self._catalogue, tenant_id, now=now)
        failures: list[ArchiveError] = []
        for export in ended:
            try:
                self._end(export)
            except ArchiveError as error:
                failures.append(error)
                log.warning("ALARM: an export is over and stays", export_id=export.id, reason=str(error))
        if failures:
            raise failures[0]
        return len(ended)

    def _end(self, export: Export) -> None:
        """Delete what was made of an export, then its KEK, and only then forget which one that was."""
        for version in self._store.versions(objects_prefix(export)):
            with contextlib.suppress(NotFound):
                self._store.delete(version.key, version.version_id)
        if export.kek_id is not None and not exports.is_shared(self._catalogue, export):
            now = self._clock.now()
            keks.retire(self._catalogue, export.tenant_id, export.kek_id, now=now)
            # Asked again: another one may have been given the same key until it was retired.
            if not exports.is_shared(self._catalogue, export):
                destroy_kek(
                    self._vault(),
                    self._catalogue,
                    self._audit,
                    export.tenant_id,
                    export.kek_id,
                    {"reason": "the last export of its day is over"},
                    actor=ACTOR,
                    now=now,
                )
        exports.forget(self._catalogue, export)

    def _made(self, export: Export) -> int:
        """Make what is missing of a package and return the length of its zip in bytes."""
        scope = accounts.scope_of_user(self._catalogue, export.tenant_id, export.user_id)
        tenant = people.tenant_of(self._catalogue, export.tenant_id)
        own_name = brandings.stationery_of(self._catalogue, export.tenant_id).own_name
        named = people.of_ids(self._catalogue, export.tenant_id, [export.user_id])
        asker = named[export.user_id]
        commission = Commission(
            scope=scope,
            recording_ids=export.recording_ids,
            reference=export.reference,
            purpose=export.purpose,
            requested_by=f"{asker.login}@{tenant.domain}",
            organisation=tenant.name,
            container=export.container,
            case_id=export.case_id,
            left_out=export.left_out,
            own_name=own_name,
        )
        playback = Playback(self._store, self._vault(), self._catalogue, self._audit, self._clock)
        shelf = SealedShelf(self._store, self._vault(), self._catalogue, export)
        if export.kept is not None:
            head = Letterhead(tenant.name, export.reference, own_name)
            asked = SubjectCommission(scope, export.kept, export.purpose, head)
            SubjectPacker(playback, self._catalogue).pack(asked, shelf)
        else:
            packer = Packer(playback, self._catalogue, self._signatory(), self._stamping, self._log_key_line)
            packer.pack(commission, shelf, self._clock.now())
        made = exports.get(self._catalogue, export.tenant_id, export.id)
        return Download(self._store, self._vault(), self._catalogue, playback, made).size_bytes

    def _log_key_line(self) -> str:
        """Return the line by which the checkpoints of the audit log are verified, "" before the first."""
        with self._catalogue.transaction() as connection:
            log = audit_tree.newest_log(connection)
        if log is None or self._log_key is None:
            return ""
        return f"{PublicKey(log.origin, self._log_key().public).line()}\n"

    def _settle(
        self, export: Export, state: ExportState, *, size_bytes: int | None = None, reason: str | None = None
    ) -> None:
        now = self._clock.now()
        body: dict[str, Json] = {"recordings": len(export.recording_ids), "reference": export.reference}
        with self._audit.transaction(export.tenant_id) as connection:
            if not exports.settle(connection, export, state, now=now, size_bytes=size_bytes, reason=reason):
                return  # another worker was first, or its time is over
            self._audit.append(
                connection,
                tenant_id=export.tenant_id,
                actor=ACTOR,
                action=f"export.{state.value}",
                object=f"export:{export.id}",
                at=now,
                body={**body, **({"reason": reason} if reason else {})},
            )
            mail_id = self._tell(connection, export, state)
        log.info("an export is made", export_id=export.id, state=state.value)
        if mail_id is not None and self._notices is not None:
            # A letter that could not be handed over is found by the workers themselves.
            with contextlib.suppress(CatalogueUnavailable):
                self._notices.post().hand_over(export.tenant_id, mail_id)

    def _tell(self, connection: Connection, export: Export, state: ExportState) -> str | None:
        """Queue the letter to who asked, in the caller's transaction; None where nobody can be told."""
        to = export.mail_to
        if self._notices is None or to is None:
            return None
        chosen = notifications.choices_of(connection, export.tenant_id, export.user_id)
        if not chosen.wanted[notifications.Kind.EXPORT]:
            return None
        tenant = people.tenant_of(self._catalogue, export.tenant_id)
        fields = {
            "organisation": tenant.name,
            "link": f"{self._notices.url}{EXPORTS_PAGE}",
            "startedAt": export.asked_at.isoformat(),
            "endsAt": export.ends_at.isoformat(),
        }
        kind = f"export-{state.value}"
        letter = Letter(export.tenant_id, kind, to, export.language, fields, actor=f"service:{ACTOR}")
        with translated_key_errors():
            return self._notices.post().queue(connection, letter)
