"""What the catalogue's words are called on pages: modes, roles, licences, rights.

Templates show one as `{{ _(words.MODES[user.mode]) }}`.

Rules: literal messages only; a test holds that every word of the enumerations has one.
"""

from __future__ import annotations

from typing import Final

from archive.access import Right
from archive.catalogue.directory import Capacity
from archive.model import RecordingMode, RetentionClass, Role
from playback_portal.language import mark

MODES: Final = {
    RecordingMode.ALWAYS: mark("Always"),
    RecordingMode.ALWAYS_PAUSE: mark("Always with pause"),
    RecordingMode.ON_DEMAND: mark("On demand"),
    RecordingMode.ON_DEMAND_START: mark("On demand with start"),
    RecordingMode.NEVER: mark("Never"),
}

LICENCES: Final = {
    RetentionClass.DAYS_90: mark("90 days"),
    RetentionClass.DAYS_365: mark("365 days"),
    RetentionClass.YEARS_7_1000: mark("7 years, 1000 minutes"),
    RetentionClass.YEARS_7_3500: mark("7 years, 3500 minutes"),
}

TERMS: Final = {
    RetentionClass.DAYS_90: mark("90 days"),
    RetentionClass.DAYS_365: mark("365 days"),
    RetentionClass.YEARS_7_1000: mark("7 years"),
    RetentionClass.YEARS_7_3500: mark("7 years"),
}
"""How long a licence keeps, where its minutes stand beside it or do not matter."""

ROLES: Final = {
    Role.USER: mark("User"),
    Role.ADMINISTRATOR: mark("Administrator"),
    Role.AUDITOR: mark("Auditor"),
}
"""The roles a customer gives; operators are of the provider and shown to none."""

ACCESS: Final = {"none": mark("No access"), "own": mark("Own recordings")}

CAPACITIES: Final = {
    Capacity.CONTRIBUTOR: mark("Contributor"),
    Capacity.LISTENER: mark("Listener"),
    Capacity.MANAGER: mark("Team leader"),
}

CAPACITY_ICONS: Final = {Capacity.CONTRIBUTOR: "mic", Capacity.LISTENER: "ear", Capacity.MANAGER: "ear"}

RIGHTS: Final = {
    Right.DOWNLOAD: mark("Downloading"),
    Right.EMAIL: mark("E-mailing"),
    Right.SHARE: mark("Making play links"),
    Right.EVALUATE: mark("Evaluating"),
}

RIGHTS_EXPLAINED: Final = {
    Right.DOWNLOAD: mark("Take the sound away as a file, outside the portal. Off unless you switch it on."),
    Right.EMAIL: mark("Send a recording by mail."),
    Right.SHARE: mark("Whoever gets the link can play, not download."),
    Right.EVALUATE: mark("Fill in an evaluation form about a call."),
}
