"""One metadata body, of any dialect, brought to the normal form of `recorder.metadata.model`.

Every client writes RFC 7865 in its own way: by the final RFC, by one of its drafts,
with ids in `x_id` or `id`, parents in `session_id` or `session`, addresses in
`nameID/@aor` or in text, and senders in associations or inside the participant. All
of that is accepted, by local name and in any namespace.

Rules: pure. Ids are opaque and may repeat. Foreign elements are kept as names and
texts; the body itself is evidence and kept by the caller.

Not here: XML limits (`recorder.metadata.tree`) and how documents add up
(`recorder.metadata.snapshot`).
"""

from __future__ import annotations

from collections.abc import Iterator

from archive.numbers import canonical
from recorder.metadata.broadworks import broadworks_facts
from recorder.metadata.model import (
    CommunicationSession,
    Document,
    Group,
    MediaStream,
    MetadataError,
    Participant,
)
from recorder.metadata.tree import MalformedTree, Node, parse_tree

__all__ = ["PARTICIPANTS_MAX", "Document", "MetadataError", "parse"]

PARTICIPANTS_MAX = 64
"""As many parties as a description may have streams; larger conferences are mixed by the exchange."""

EXTENSIONS_MAX = 512
"""Foreign leaves kept by name; all of the body is kept as evidence anyway."""

_KNOWN = {
    "datamode",
    "group",
    "session",
    "participant",
    "stream",
    "sessionrecordingassoc",
    "participantsessionassoc",
    "participantstreamassoc",
}
# What RFC 7865 and its drafts define inside the known elements; anything else there is foreign.
_KNOWN_WITHIN = {
    "associatetime",
    "disassociatetime",
    "starttime",
    "stoptime",
    "sipsessionid",
    "reason",
    "groupref",
    "nameid",
    "aor",
    "name",
    "send",
    "recv",
    "id",
    "label",
    "mode",
    "contenttype",
    "param",
    "initiator",
    "requestor",
    "type",
}
_LEFT = ("disassociatetime", "disassociate")
_JOINED = ("associatetime", "associate")


def parse(body: bytes) -> Document:
    """Read a metadata body; raises MetadataError when it is none, or larger than its limits."""
    try:
        root, repaired = parse_tree(body)
    except MalformedTree as error:
        raise MetadataError(str(error)) from error
    root = _root_within(root)
    complete = (root.first_text("datamode") or "complete").lower() != "partial"
    return Document(
        complete=complete,
        groups=tuple(_group(node) for node in root.all("group")),
        sessions=tuple(_session(node) for node in root.all("session")),
        participants=_participants(root, complete=complete),
        streams=tuple(_stream(node) for node in root.all("stream")),
        sends=_directed(root, "send"),
        receives=_directed(root, "recv"),
        broadworks=broadworks_facts(root),
        extensions=tuple(_extensions(root))[:EXTENSIONS_MAX],
        repaired=repaired,
    )


def _root_within(root: Node) -> Node:
    """Return the element that holds the objects; raises MetadataError when there is none."""
    if any(child.name in _KNOWN for child in root.children):
        return root
    for child in root.children:
        if any(grandchild.name in _KNOWN for grandchild in child.children):
            return child
    if root.name.startswith("recording"):
        return root
    raise MetadataError("The peer's XML is no recording metadata: no object of RFC 7865 stands in it.")


def _id_of(node: Node, kind: str) -> str:
    """Return an object's own id: `x_id` of RFC 7865, or `id` of its drafts."""
    return node.first_attribute(f"{kind}id", "id") or ""


def _reference(node: Node, kind: str) -> str | None:
    """Return the id of the object this one belongs to, from an attribute or a child."""
    return node.first_attribute(f"{kind}id", kind) or node.first_text(f"{kind}id", f"{kind}ref", kind) or None


def _group(node: Node) -> Group:
    return Group(_id_of(node, "group"), node.first_text(*_JOINED), node.first_text(*_LEFT))


def _session(node: Node) -> CommunicationSession:
    return CommunicationSession(
        id=_id_of(node, "session"),
        group_id=_reference(node, "group"),
        start_time=node.first_text("starttime", *_JOINED),
        stop_time=node.first_text("stoptime", *_LEFT),
        sip_session_ids=tuple(child.content() for child in node.all("sipsessionid")),
        reasons=tuple(child.content() for child in node.all("reason")),
    )


def _stream(node: Node) -> MediaStream:
    return MediaStream(
        id=_id_of(node, "stream"),
        label=node.first_text("label") or node.first_attribute("label") or "",
        session_id=_reference(node, "session"),
        mode=(node.first_text("mode") or "").lower() or None,
        content_type=node.first_text("contenttype"),
    )


def _participants(root: Node, *, complete: bool) -> tuple[Participant, ...]:
    """Return the participants with the times of their associations.

    A partial document may name somebody in an association only, as when they leave.
    """
    associations: dict[str, list[Node]] = {}
    for node in root.all("participantsessionassoc"):
        associations.setdefault(_id_of(node, "participant"), []).append(node)
    described = list(root.all("participant"))
    ids = {_id_of(node, "participant") for node in described}
    only_associated = [] if complete else [identity for identity in associations if identity not in ids]
    if len(described) + len(only_associated) > PARTICIPANTS_MAX:
        raise MetadataError(f"The peer's metadata names more than {PARTICIPANTS_MAX} participants.")
    nodes = [(_id_of(node, "participant"), node) for node in described]
    nodes += [(identity, associations[identity][-1]) for identity in only_associated]
    return tuple(_participant(identity, node, associations.get(identity, [node])) for identity, node in nodes)


def _participant(identity: str, node: Node, associations: list[Node]) -> Participant:
    """Return one participant; `associations` are the elements its times stand in."""
    # The last association counts: somebody may leave and come back in one document.
    *before, association = associations
    aors = [aor for aor in _aors(node) if aor]
    return Participant(
        id=identity,
        aor=aors[0] if aors else "",
        number=canonical(aors[0]) if aors else "",
        name=_name(node),
        session_id=_reference(association, "session") or _reference(node, "session"),
        from_time=association.first_text(*_JOINED),
        to_time=association.first_text(*_LEFT),
        aliases=tuple(aors[1:]),
        earlier_times=tuple(filter(None, (item.first_text(*_JOINED) for item in before))),
    )


def _aors(node: Node) -> Iterator[str]:
    """Yield every address of a participant, wherever the dialect has it."""
    for name_id in node.all("nameid"):
        yield name_id.first_attribute("aor", "uri") or name_id.first_text("aor") or name_id.text.strip()
    for child in node.all("aor"):
        yield child.content()
    yield node.first_attribute("aor") or ""


def _name(node: Node) -> str:
    """Return the display name of a participant: that of its first nameID that has one, else its own."""
    names = (name_id.first_text("name") or name_id.first_attribute("name") for name_id in node.all("nameid"))
    return next((name for name in names if name), None) or node.first_text("name") or ""


def _directed(root: Node, direction: str) -> dict[str, tuple[str, ...]]:
    """Return which participant sends (or receives) which streams, by id.

    Associations that ended say nothing any more, except that their participant may
    now send nothing. Where senders stand inside participants, one without any is silent.
    """
    found: dict[str, tuple[str, ...]] = {}
    inside = root.name == "recordingmetadata" or any(
        True for node in root.all("participant") for _ in node.all("send", "recv")
    )
    for node in root.all("participant", "participantstreamassoc"):
        if node.name == "participant" and not inside:
            continue
        identity = _id_of(node, "participant")
        ended = node.name == "participantstreamassoc" and node.first_text(*_LEFT) is not None
        ids = () if ended else tuple(text for child in node.all(direction) if (text := child.content()))
        found[identity] = tuple(dict.fromkeys((*found.get(identity, ()), *ids)))
    return found


def _extensions(root: Node) -> Iterator[tuple[str, str]]:
    """Yield name and text of every foreign leaf: vendors put them at the root or inside known elements."""
    for child in root.children:
        if child.name not in _KNOWN:
            yield from _leaves(child)
            continue
        for grandchild in child.children:
            if grandchild.name not in _KNOWN_WITHIN:
                yield from _leaves(grandchild)


def _leaves(node: Node) -> Iterator[tuple[str, str]]:
    for item in node.walk():
        text = item.text.strip()
        if text:
            yield item.tag, text
