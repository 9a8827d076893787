"""From metadata and headers to the facts of a call, one shape for all dialects.

Where metadata names nobody, the headers of dialects without metadata do: Cisco's
`X-Cisco-Recording-Participant`, CUCM's `x-nearendaddr` and `x-farendaddr`, and at
last the number in From. Rules: pure; what an earlier document said stands until a
newer one says otherwise, for a partial update names only what changed.

Not here: who of them is recorded (`archive.decision`).
"""

from __future__ import annotations

import re

from archive.decision import CallFacts, CallParticipant
from archive.numbers import canonical
from recorder.metadata.model import Participant, RecordingMetadata
from recorder.sip.message import Request

LINKS_MAX = 64
"""As many as a call can be redirected (`recorder.metadata.snapshot`); a peer that invents more is cut off."""

_CISCO_MEDIA_INDEX = re.compile(r"media-index=\"?(\d)")
_CUCM_ADDRESS = re.compile(r"x-(nearend|farend)addr=([^;>\s]+)", re.IGNORECASE)
_CUCM_CALL = re.compile(r"x-refci=([^;>\s]+)", re.IGNORECASE)


def facts_of(model: RecordingMetadata, request: Request | None, known: CallFacts) -> CallFacts:
    """Return what is known of the call after `model`, and `request` when it opened the session."""
    if model.participants or model.broadworks:
        return _from_metadata(model, request, known)
    return known if request is None else _from_headers(request)


def _from_metadata(model: RecordingMetadata, request: Request | None, known: CallFacts) -> CallFacts:
    present = [item for item in model.participants if item.to_time is None and not item.placeholder]
    participants = tuple(
        CallParticipant(item.number or canonical(item.aor), item.name, _labels(model, item))
        for item in present
    )
    caller, callee = _ends(model, participants, known)
    broadworks = model.broadworks
    is_caller = _recorded_is_caller(model, caller, callee)
    own = (
        canonical(request.from_address.uri)
        if request and broadworks and not _numbered(caller, callee)
        else ""
    )
    if own and is_caller is not None:
        caller, callee = (own, callee) if is_caller else (caller, own)
    return CallFacts(
        participants=participants,
        caller=caller,
        callee=callee,
        caller_labels=_caller_labels(participants, caller, callee),
        recorded_id=broadworks.user_id if broadworks else None,
        recorded_is_caller=is_caller,
        service_provider_id=broadworks.service_provider_id if broadworks else None,
        group_id=broadworks.group_id if broadworks else None,
        links=_links(model, known.links),
        mixed=any(stream.mode == "mixed" for stream in model.streams),
    )


def _links(model: RecordingMetadata, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return what the exchange calls the call: its chain of tracking ids, groups and sessions."""
    redirected = model.broadworks.new_tracking_id if model.broadworks else None
    named = [
        *(f"tracking:{item}" for item in (*model.tracking_ids, redirected) if item),
        *(f"group:{item.id}" for item in model.groups),
        *(f"group:{item.group_id}" for item in model.sessions if item.group_id),
        *(f"session:{item.id}" for item in model.sessions),
    ]
    return tuple(dict.fromkeys((*known, *named)))[:LINKS_MAX]


def _ends(
    model: RecordingMetadata, participants: tuple[CallParticipant, ...], known: CallFacts
) -> tuple[str, str]:
    """Tell caller and callee: what the exchange says, what was known, or the order of naming."""
    facts = model.broadworks
    if facts and (facts.calling_party_number or facts.called_party_number):
        return canonical(facts.calling_party_number or ""), canonical(facts.called_party_number or "")
    # Metaswitch names the caller; Ribbon keeps the From of the call it records.
    calling = canonical(
        model_extension(model, "callingPartyNumber") or model_extension(model, "fromhdr") or ""
    )
    if any(item.number == calling for item in participants):
        others = [item.number for item in participants if item.number != calling]
        return calling, others[0] if others else ""
    if known.caller and known.participants:
        return known.caller, known.callee
    numbers = [item.number for item in participants]
    return (numbers[0] if numbers else ""), (numbers[1] if len(numbers) > 1 else "")


def _recorded_is_caller(model: RecordingMetadata, caller: str, callee: str) -> bool | None:
    """Tell which half of the call the session is for, where the exchange opens one for each half."""
    if model.broadworks and model.broadworks.direction:
        return model.broadworks.direction == "out"
    recorded = canonical(model_extension(model, "recordedParty") or "")
    return recorded == caller if recorded and recorded in (caller, callee) else None


def model_extension(model: RecordingMetadata, name: str) -> str | None:
    """Return the text of a foreign element by its local name, in any case of letters."""
    return next((text for found, text in model.extensions if found.lower() == name.lower()), None)


def _caller_labels(participants: tuple[CallParticipant, ...], caller: str, callee: str) -> tuple[str, ...]:
    """Return the streams the caller sends: by number, by not being the callee, or by being named first."""
    own = [item for item in participants if item.labels and item.number == caller]
    rest = [item for item in participants if item.labels and item.number != callee]
    first = [item for item in participants if item.labels]
    for candidates in (own, rest if len(rest) < len(first) else [], first[:1]):
        if candidates:
            return tuple(label for item in candidates for label in item.labels)
    return ()


def _labels(model: RecordingMetadata, participant: Participant) -> tuple[str, ...]:
    """Return the labels of the streams a participant sends."""
    sent = set(model.sends.get(participant.id, ()))
    found = [stream.label for stream in model.streams if stream.id in sent and stream.label]
    if found or not any(stream.mode == "mixed" for stream in model.streams):
        return tuple(found)
    return tuple(stream.label for stream in model.streams if stream.mode == "mixed" and stream.label)


def _numbered(caller: str, callee: str) -> bool:
    return bool(caller) and bool(callee)


def _from_headers(request: Request) -> CallFacts:
    """Read the parties from the headers of dialects that send no metadata."""
    ends = _cisco_ends(request) or _cucm_ends(request)
    if ends:
        # CUCM opens a dialog for each end of a call and names the call in both.
        call = _CUCM_CALL.search(request.headers.first("From") or "")
        links = (f"refci:{call[1]}",) if call else ()
        return CallFacts(
            caller=canonical(ends.get("a", "")), callee=canonical(ends.get("b", "")), links=links
        )
    number = canonical(request.from_address.uri)
    return CallFacts(caller=number) if number.lstrip("+").isdigit() else CallFacts()


def _cisco_ends(request: Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in request.headers.all("X-Cisco-Recording-Participant"):
        index = _CISCO_MEDIA_INDEX.search(value)
        if index:
            found["a" if index[1] == "0" else "b"] = value.partition(";")[0]
    return found


def _cucm_ends(request: Request) -> dict[str, str]:
    found = dict(_CUCM_ADDRESS.findall(request.headers.first("From") or ""))
    named = {key.lower(): value for key, value in found.items()}
    return {"a": named["nearend"], "b": named.get("farend", "")} if "nearend" in named else {}
