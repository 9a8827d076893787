"""What BroadWorks and Webex Calling say of a call beyond RFC 7865.

It stands in `<broadWorksRecordingMetadata>` within `extensiondata`. The recorded user
is `user_id`, the direction follows from `origCall` or `termCall`, and
`tracking_id` is what links the legs of a redirected call, since every other id of
the document may change within one dialog.

Rules: pure; every field may be missing; unknown values of `recordingType` are kept
as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from recorder.metadata.tree import Node

ELEMENT = "broadworksrecordingmetadata"


@dataclass(frozen=True)
class BroadWorksFacts:
    """The fields of the extension; numbers are as the exchange wrote them.

    `direction` is `out` for origCall and `in` for termCall, from the recorded user's side.
    """

    tracking_id: str | None = None
    service_provider_id: str | None = None
    group_id: str | None = None
    user_id: str | None = None
    call_id: str | None = None
    direction: str | None = None
    calling_party_number: str | None = None
    called_party_number: str | None = None
    dialed_digits: str | None = None
    last_redirect_number: str | None = None
    original_called_number: str | None = None
    recording_type: str | None = None
    new_tracking_id: str | None = None
    redirected_from_number: str | None = None
    redirected_to_number: str | None = None
    acd_user_id: str | None = None
    acd_name: str | None = None
    acd_number: str | None = None

    def numbers(self) -> tuple[str, ...]:
        """Return every field in which a number of the call may stand."""
        texts = (
            self.calling_party_number,
            self.called_party_number,
            self.dialed_digits,
            self.last_redirect_number,
            self.original_called_number,
            self.redirected_from_number,
            self.redirected_to_number,
            self.acd_number,
            self.user_id,
        )
        return tuple(text for text in texts if text)

    def merged(self, newer: BroadWorksFacts) -> BroadWorksFacts:
        """Return these facts, with whatever `newer` says in their place."""
        names = [item.name for item in fields(self)]
        return BroadWorksFacts(**{name: getattr(newer, name) or getattr(self, name) for name in names})


# The element of each field, wherever in the extension it stands.
_ELEMENTS = {
    "tracking_id": "exttrackingid",
    "service_provider_id": "serviceproviderid",
    "group_id": "groupid",
    "user_id": "userid",
    "call_id": "callid",
    "calling_party_number": "callingpartynumber",
    "called_party_number": "calledpartynumber",
    "dialed_digits": "dialeddigits",
    "last_redirect_number": "lastredirectnumber",
    "original_called_number": "origcallednumber",
    "recording_type": "recordingtype",
    "new_tracking_id": "newexttrackingid",
    "redirected_from_number": "redirectedfrompartynumber",
    "redirected_to_number": "redirectedtopartynumber",
    "acd_user_id": "acduserid",
    "acd_name": "acdname",
    "acd_number": "acdnumber",
}


def broadworks_facts(root: Node) -> BroadWorksFacts | None:
    """Return the facts of the extension, wherever it stands in the document; None when it is not there."""
    extension = next((node for node in root.walk() if node.name == ELEMENT), None)
    if extension is None:
        return None
    texts: dict[str, str] = {}
    for node in extension.walk():
        texts.setdefault(node.name, node.content())
    direction = "out" if "origcall" in texts else "in" if "termcall" in texts else None
    found = {name: texts.get(element) or None for name, element in _ELEMENTS.items()}
    return BroadWorksFacts(direction=direction, **found)
