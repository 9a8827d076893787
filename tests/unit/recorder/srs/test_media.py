"""Streams of a session follow its offers, up to as many as a recording can hold."""

from __future__ import annotations

import pytest

from recorder.srs import media
from recorder.srs.session import STREAMS_MAX
from recorder.state import StreamState
from tests.unit.recorder.srs.conftest import SDP, Client, Recorder, call_body, media_lines, offer

LABELS = tuple(str(number) for number in range(1, 20))


@pytest.mark.parametrize("count", [STREAMS_MAX, STREAMS_MAX + 1])
def test_as_many_streams_as_a_flac_holds_are_recorded(recorder: Recorder, client: Client, count: int) -> None:
    """What is beyond is refused with port 0, and the rest recorded."""
    sdp = offer(*["sendonly"] * count, labels=LABELS)
    answer = client.invite(*call_body(sdp=sdp))
    assert answer.status == 200
    lines = media_lines(answer.body)
    assert len(lines) == count
    assert sum(line.split()[1] != "0" for line in lines) == STREAMS_MAX
    assert len(recorder.state.streams) == STREAMS_MAX


def test_a_label_that_is_missing_is_made_up_and_told(recorder: Recorder, client: Client) -> None:
    """Some clients can't put one on the wire."""
    sdp = b"\r\n".join(
        line for line in offer("sendonly", "sendonly").split(b"\r\n") if not line.startswith(b"a=label")
    )
    client.invite(*call_body(sdp=sdp))
    assert "label-synthesised" in recorder.state.flags


def test_each_answer_has_the_next_version_of_one_session(recorder: Recorder, client: Client) -> None:
    """RFC 3264 section 8: the origin stays, its version grows by one."""
    origins = [client.call().body.splitlines()[1].split()]
    for version in (2, 3):
        answer = client.invite(SDP, offer("sendonly", "sendonly", version=version))
        origins.append(answer.body.splitlines()[1].split())
    assert len({origin[1] for origin in origins}) == 1
    assert [int(origin[2]) for origin in origins] == [1, 2, 3]


@pytest.mark.parametrize(
    ("encodings", "rate_hz"),
    [
        (("PCMA/8000",), 8000),
        (("opus/48000/2", "telephone-event/48000"), 48000),
        (("telephone-event/8000", "opus/48000/2"), 48000),
        (("AMR-WB/16000",), 16000),
        (("odd",), 8000),
        ((), 8000),
    ],
)
def test_the_clock_is_that_of_the_first_audio_format(encodings: tuple[str, ...], rate_hz: int) -> None:
    """Everything of the telephone has 8000 Hz."""
    types = {str(96 + number): name for number, name in enumerate(encodings)}
    assert media.clock_rate_hz(StreamState(0, "1", "a", "192.0.2.1", 20000, types)) == rate_hz
