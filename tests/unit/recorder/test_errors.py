"""Whose fault it was decides what is done about it."""

from __future__ import annotations

import pytest

from recorder.errors import DependencyUnavailable, LocalDefect, PeerViolation, RecorderError
from recorder.sip.headers import MalformedField
from recorder.sip.multipart import MultipartRefused
from recorder.sip.parser import NotSip
from recorder.sip.uri import MalformedAddress
from recorder.sip_transport import ListenerUnavailable


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (MalformedAddress, PeerViolation),
        (MalformedField, PeerViolation),
        (MultipartRefused, PeerViolation),
        (NotSip, PeerViolation),
        (ListenerUnavailable, DependencyUnavailable),
    ],
)
def test_every_error_of_sip_says_whose_fault_it_was(
    error: type[RecorderError], fault: type[RecorderError]
) -> None:
    assert issubclass(error, fault)


def test_the_three_faults_are_apart_and_all_of_the_recorder() -> None:
    faults = (PeerViolation, LocalDefect, DependencyUnavailable)
    assert all(fault.__bases__ == (RecorderError,) for fault in faults)
    assert PeerViolation("x").status == 400
