"""What was done with a recording, as its page tells it: the audit log with repetitions folded.

A player asks for its sound in many pieces, and each has an entry; to people that is
listening once. Entries of one person doing one thing in a row become one line.

Rules: pure. What is shown of an entry is what the API shows; addresses stay with the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from archive.audit import AuditEntry
from playback_portal import evaluation_words
from playback_portal.language import mark

ACTIONS: Mapping[str, str] = {
    "recording.archived": mark("Recording sealed and checked"),
    "recording.assigned": mark("assigned the recording"),
    "recording.destroyed": mark("destroyed the recording"),
    "recording.downloaded": mark("downloaded the recording"),
    "recording.exported": mark("exported the recording"),
    "recording.held": mark("put a hold on the recording"),
    "holds.viewed": mark("looked at its holds"),
    "certificate.viewed": mark("looked at the certificate of destruction"),
    "recording.kept": mark("kept the recording"),
    "recording.opened": mark("opened the page"),
    "recording.played": mark("listened"),
    "recording.purpose-stated": mark("said what it is opened for"),
    "recording.quarantined": mark("Recording set apart: nobody is known to own it"),
    "recording.read": mark("read the data of the call"),
    "recording.viewed": mark("looked at the data"),
    "access.viewed": mark("looked at who can hear it"),
    "mail.queued": mark("had a mail sent"),
    "mail.sent": mark("Mail sent"),
    "mail.failed": mark("A mail could not be sent"),
    "mails.listed": mark("looked at the mails"),
    "recording.lengthened": mark("kept it for longer"),
    "recording.trashed": mark("approved that it goes into the trash"),
    "recording.put-back": mark("put it back from the trash"),
    "recording.mailed": mark("sent the recording by mail"),
    "share.added": mark("made a play link"),
    "share.code-sent": mark("had a code sent for the play link"),
    "share.opened": mark("opened the play link"),
    "share.played": mark("listened by the play link"),
    "share.restored": mark("brought a play link back"),
    "share.revoked": mark("ended a play link"),
    "shares.listed": mark("looked at the play links"),
    "comment.added": mark("commented"),
    "comment.answered": mark("answered a comment"),
    "comment.changed": mark("changed a comment"),
    "comment.deleted": mark("deleted a comment"),
    "comment.restored": mark("brought a comment back"),
    "note.changed": mark("wrote the note"),
    "note.deleted": mark("took the note away"),
    "recording.labelled": mark("added a label"),
    "recording.unlabelled": mark("took a label off"),
    "favourite.marked": mark("changed their favourites"),
    "favourite.unmarked": mark("changed their favourites"),
    "history.viewed": mark("looked at the history"),
    "why.viewed": mark("looked at why it was recorded"),
    "object.damaged": mark("A damaged part was found"),
    **evaluation_words.DEEDS,
}
"""The deeds of the log in words; what is not here is shown by its own name."""

FOLDED = timedelta(minutes=30)
"""Who comes back to a recording after half an hour listens again."""

OF_THE_SYSTEM = ("service:", "recorder", "worker", "operator", "system")


@dataclass(frozen=True)
class Deed:
    """One line: who did what, from when to when, how often, and what for."""

    actor: str
    action: str
    result: str
    since: datetime
    until: datetime
    purpose: str = ""
    times: int = 1

    @property
    def words(self) -> str:
        """The message for the deed, or "" for one without words."""
        return ACTIONS.get(self.action, "")

    @property
    def is_of_person(self) -> bool:
        """Whether somebody did it, and not the service by itself."""
        return not self.actor.startswith(OF_THE_SYSTEM)

    @property
    def user_id(self) -> str:
        """The id of the person, "" for programs and the service."""
        kind, _, name = self.actor.partition(":")
        return name if kind == "user" else ""

    @property
    def by_link(self) -> bool:
        """Whether it was somebody outside, by a play link; nobody knows who."""
        return self.actor.startswith("share:")


def deeds(entries: Iterable[AuditEntry]) -> list[Deed]:
    """Return the deeds of entries that come oldest first, newest first."""
    found: list[Deed] = []
    for entry in entries:
        told = (entry.body or {}).get("purpose")
        purpose = told if isinstance(told, str) else ""
        deed = Deed(entry.actor, entry.action, entry.result, entry.at, entry.at, purpose)
        place = _place(found, deed)
        if place is None:
            found.append(deed)
        else:
            before = found[place]
            found[place] = replace(before, until=deed.until, times=before.times + 1)
    return sorted(found, key=lambda deed: deed.until, reverse=True)


def _place(found: list[Deed], deed: Deed) -> int | None:
    """Return which earlier deed this one goes on with: the same, by the same, shortly before."""
    for place in range(len(found) - 1, -1, -1):
        before = found[place]
        if deed.since - before.until > FOLDED:
            return None
        if (before.actor, before.action, before.result, before.purpose) == (
            deed.actor,
            deed.action,
            deed.result,
            deed.purpose,
        ):
            return place
    return None
