"""The metadata of a call is kept as evidence: nothing of it can be changed unseen."""

import dataclasses
import json

import pytest

from recorder.quality_record import CHAIN_BEGIN, chain_holds, metadata_document, moment, rfc3339
from recorder.state import CallState, DialogState, MetadataRevision

DIALOG = DialogState("call@example.org", "l", "r", "", "", "", (), 1, 1, "udp", "", "", 0, None, "", "")
STATE = CallState(
    "id",
    "session",
    "group",
    "tenant",
    None,
    None,
    "always",
    "90d",
    "in",
    "two-party",
    0,
    True,
    DIALOG,
    (),
    metadata=tuple(
        MetadataRevision(n * 10**9, "application/rs-metadata+xml", f"body{n}", "broken" if n == 1 else None)
        for n in range(3)
    ),
)


def test_every_revision_stands_in_a_chain() -> None:
    """Three bodies as they came, each with its time, its error and its hash; the last hash is the head."""
    content = json.loads(metadata_document(STATE))
    assert [r["bodyBase64"] for r in content["revisions"]] == ["body0", "body1", "body2"]
    assert content["revisions"][1]["error"] == "broken"
    assert content["revisions"][2]["at"] == "1970-01-01T00:00:02Z"
    assert len({r["hash"] for r in content["revisions"]}) == 3
    assert content["head"] == content["revisions"][2]["hash"]
    assert chain_holds(metadata_document(STATE))


@pytest.mark.parametrize("field", ["at", "contentType", "bodyBase64", "error", "hash"])
def test_a_changed_revision_breaks_the_chain(field: str) -> None:
    """Whatever is changed in one of them, the chain says so."""
    content = json.loads(metadata_document(STATE))
    content["revisions"][1][field] = "else"
    assert not chain_holds(json.dumps(content).encode())


def test_a_dropped_or_swapped_revision_breaks_the_chain() -> None:
    """Leaving one out, at the end too, or changing their order is seen."""
    for change in (lambda r: r.pop(), lambda r: r.pop(0), lambda r: r.reverse()):
        content = json.loads(metadata_document(STATE))
        change(content["revisions"])
        assert not chain_holds(json.dumps(content).encode())


def test_a_call_without_metadata_has_an_empty_chain() -> None:
    """Metadata may be absent; the document is there all the same."""
    document = metadata_document(dataclasses.replace(STATE, metadata=()))
    assert json.loads(document)["head"] == CHAIN_BEGIN
    assert chain_holds(document)


def test_moments_keep_microseconds() -> None:
    """Nanoseconds since 1970 are dated without going through a float."""
    assert rfc3339(moment(1_790_000_000_123_456_789)) == "2026-09-21T14:13:20.123456Z"
