"""A licence and a mode for many people at once: what each of them gets of what was chosen for all.

A mode that was not chosen fits the licence: who had none begins to be recorded always, who
loses it is not recorded any more, and everybody else keeps the mode they have.

Rules: pure. What exists is never touched: a licence counts for calls from then on. Not here:
what a change would do in numbers (`archive.catalogue.licences`), and making it
(`archive.catalogue.licensed`).
"""

from __future__ import annotations

from dataclasses import dataclass

from archive.model import RecordingMode, RetentionClass, User


@dataclass(frozen=True)
class Assignment:
    """What is chosen for all; with `keeps_licence` everybody keeps theirs, a mode of None fits it."""

    licence: RetentionClass | None = None
    keeps_licence: bool = False
    mode: RecordingMode | None = None

    def of(self, user: User) -> Outcome:
        """Return what a person gets."""
        licence = user.licence if self.keeps_licence else self.licence
        return Outcome(user, licence, self.mode or _fitting(user, licence))


@dataclass(frozen=True)
class Outcome:
    """The licence and mode a person would have."""

    user: User
    licence: RetentionClass | None
    mode: RecordingMode

    @property
    def changes(self) -> bool:
        """Whether anything is different from what the person has."""
        return self.changes_licence or self.changes_mode

    @property
    def changes_licence(self) -> bool:
        """Whether the licence is another one."""
        return self.licence is not self.user.licence

    @property
    def changes_mode(self) -> bool:
        """Whether the mode is another one."""
        return self.mode is not self.user.mode

    @property
    def lacks_licence(self) -> bool:
        """Whether the mode records and nothing allows it to: such a change is refused."""
        return self.licence is None and self.mode is not RecordingMode.NEVER


def _fitting(user: User, licence: RetentionClass | None) -> RecordingMode:
    if licence is None:
        return RecordingMode.NEVER
    return RecordingMode.ALWAYS if user.licence is None else user.mode
