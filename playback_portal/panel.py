"""What the page of a recording shows of what was written on it, and what lists show of it.

Comments stand in the timeline between pauses, waits and losses; threads are numbered in the
order of the sound, and the number stands at the waveform too.

Rules: reads only. Who may write is asked of the archive; nothing here decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from archive.access import AccessScope, may_annotate
from archive.catalogue import comments, favourites, labels, notes
from archive.catalogue.comments import COMMENT_CHARS_MAX, Comment, Thread
from archive.catalogue.engine import Catalogue
from archive.catalogue.labels import NAME_CHARS_MAX, Colour, Label, Shape
from archive.catalogue.lexemes import are_too_many
from archive.catalogue.notes import NOTE_CHARS_MAX, Note
from archive.model import Recording
from playback_portal import logins
from playback_portal.language import mark

COLOURS = {
    Colour.GREEN: mark("Green"),
    Colour.BLUE: mark("Blue"),
    Colour.ORANGE: mark("Orange"),
    Colour.PURPLE: mark("Purple"),
    Colour.PINK: mark("Pink"),
    Colour.BROWN: mark("Brown"),
    Colour.OLIVE: mark("Olive"),
    Colour.GREY: mark("Grey"),
}
SHAPES = {
    Shape.SQUARE: mark("Square"),
    Shape.RING: mark("Open square"),
    Shape.DOT: mark("Dot"),
    Shape.DIAMOND: mark("Diamond"),
    Shape.TRIANGLE: mark("Triangle"),
    Shape.BAR: mark("Bar"),
}
LIMITS = {"comment": COMMENT_CHARS_MAX, "note": NOTE_CHARS_MAX, "label": NAME_CHARS_MAX}


@dataclass(frozen=True)
class Panel:
    """What was written on a recording, as somebody sees it.

    `names` are the logins of authors by actor; who is gone has none. `writes` is whether
    they may write, `stars` whether they have favourites, `overflows` whether there are more words than
    the recording is found by.
    """

    threads: tuple[Thread, ...]
    note: Note
    labels: tuple[Label, ...]
    offered: tuple[Label, ...]
    favourite: bool
    names: dict[str, str]
    actor: str
    writes: bool
    stars: bool
    overflows: bool = False

    def owns(self, comment: Comment) -> bool:
        """Return whether they may change a comment."""
        return self.writes and comment.author == self.actor

    @property
    def addable(self) -> list[Label]:
        """The labels that can be put on the recording yet."""
        carried = {label.id for label in self.labels}
        return [label for label in self.offered if label.id not in carried]


def read(catalogue: Catalogue, scope: AccessScope, recording: Recording) -> Panel:
    """Return what was written on a recording; its caller knows that it may be read."""
    threads = comments.of_recording(catalogue, scope, recording)
    note = notes.of_recording(catalogue, scope, recording)
    every = [each for thread in threads for each in (thread.first, *thread.replies)]
    writes = may_annotate(scope, recording)
    return Panel(
        threads=tuple(threads),
        note=note,
        labels=labels.of_recording(catalogue, scope, recording),
        offered=tuple(labels.of_tenant(catalogue, scope)) if writes else (),
        favourite=favourites.is_favourite(catalogue, scope, recording),
        names=logins.names_of(catalogue, scope, [*(each.author for each in every), note.changed_by]),
        actor=scope.actor,
        writes=writes,
        stars=writes and scope.user_id is not None,
        overflows=are_too_many([note.text, *(each.text for each in every if not each.deleted)]),
    )


def words() -> dict[str, object]:
    """Return what the templates of annotations need beside the panel."""
    return {"colours": COLOURS, "shapes": SHAPES, "limits": LIMITS, "after": after}


def after(began: datetime, at_ms: int) -> datetime:
    """Return the time on the wall at an offset."""
    return began + timedelta(milliseconds=at_ms)
