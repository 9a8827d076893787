"""Calls of marked packets, what of them may not be kept and what must be, and a search for all of it.

A *switch* is a moment from which packets are kept, or are not: it was asked for, it is in
force, it was confirmed. What arrived when no switch was on its way is certain to be there,
or certain to be nowhere; between is what a machine can't tell, less than a packet long.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from typing import Any

from recorder.sip.message import Response
from tests.marked_peer import MarkedPeer, Marks, Sent
from tests.running_service import RunningService, eventually

NS_PER_MS = 1_000_000
EDGE_NS_MAX = 1_000 * NS_PER_MS
"""An exchange is answered at once, and capture follows; what it sends until then is in flight."""

_SHOWN = {"start": True, "resume": True, "unhold": True, "stop": False, "pause": False, "hold": False}


def effective_ns(moment: str) -> int:
    """Return a moment of the API in ns of wall time; it is told in milliseconds, on a timeline in microseconds."""
    return round(datetime.fromisoformat(moment).timestamp() * 1e6) * 1000


@dataclass(frozen=True)
class Switch:
    """From some moment between `first_ns` and `last_ns` on packets are kept, or are not."""

    keeps: bool
    first_ns: int
    last_ns: int


@dataclass
class MarkedCall:
    """One call under way, and what was asked of its recording.

    `begins`: whether it is kept from its first packet. `stored`: whether a recording is to
    come of it; `captured` meanwhile in any case. `cut`: what came since is not kept.
    """

    service: RunningService
    peer: MarkedPeer
    begins: bool = True
    stored: bool = True
    captured: bool = True
    switches: list[Switch] = field(default_factory=list)
    brackets: list[Switch] = field(default_factory=list)
    cut: Switch | None = None
    _id: str = ""

    @property
    def id(self) -> str:
        """The recording, as soon as the API shows it."""
        self._id = self._id or self.service.live(self.peer.call_id)["id"]
        return self._id

    def talk(self, seconds: float) -> None:
        """Let time pass, by what was sent."""
        until = self.peer.turn + round(seconds * 50)
        eventually(lambda: self.peer.turn >= until, "the peer goes on sending")

    # What may be asked of it.

    def command(self, verb: str) -> None:
        """Give a command by the API, and note from when on it counts."""
        recording_id, asked_ns = self.id, time.time_ns()
        answer = self.service.command(recording_id, verb)
        assert answer.status == 201, answer.body
        if verb in _SHOWN:
            first_ns = effective_ns(answer.json()["effectiveAt"])
            # It is told in whole milliseconds.
            assert asked_ns - NS_PER_MS <= first_ns <= time.time_ns()
            self.switches.append(Switch(_SHOWN[verb], first_ns, first_ns + NS_PER_MS))
        else:
            self.begins = True

    def press(self, code: str, keeps: bool, capture: str) -> None:
        """Press a star code, and wait until it is shown."""
        asked_ns = time.time_ns()
        self.peer.press(code)
        live = self.service.live
        eventually(lambda: live(self.peer.call_id)["capture"] == capture, f"{code} leads to {capture}")
        self.brackets.append(Switch(keeps, asked_ns, time.time_ns()))

    def signal(self, keeps: bool, ask: Callable[[], Response]) -> None:
        """Have the exchange stop the media or send it again."""
        asked_ns = time.time_ns()
        assert ask().status == 200
        self.brackets.append(Switch(keeps, asked_ns, time.time_ns()))

    def join(self, document: Callable[[str], bytes], told_s: float, *, dated: bool) -> None:
        """Have an exempt party join now, and tell of it `told_s` later, with the moment or without."""
        joined_ns = time.time_ns()
        self.talk(told_s)
        moment = datetime.fromtimestamp(joined_ns / 1e9).astimezone().isoformat() if dated else ""
        asked_ns = time.time_ns()
        status = self.peer.describe(document(moment)).status
        # A recorder that was killed when it had cut the call, and not yet said so, has forgotten it.
        assert status in {200, 481}, status
        # Back to the joining, or two seconds from when it was judged, whichever is more.
        lookback = asked_ns - 2 * 10**9 - NS_PER_MS, time.time_ns() - 2 * 10**9
        first, last = (min(joined_ns, at_ns) if dated else at_ns for at_ns in lookback)
        self.cut = Switch(False, first, min(last, joined_ns))

    # What follows from it.

    def settle(self, edges: Iterable[dict[str, Any]]) -> list[Switch]:
        """Learn from the timeline when those switches were in force that nobody confirmed with a time.

        Returns those it does not tell of; they count from when they were asked for or answered.
        """
        made = [(_SHOWN[edge["kind"]], effective_ns(edge["at"])) for edge in _switching(edges)]
        unsettled = []
        for bracket in self.brackets:
            last_ns = bracket.last_ns + EDGE_NS_MAX
            fits = [at for keeps, at in made if keeps is bracket.keeps and bracket.first_ns <= at <= last_ns]
            if fits:
                self.switches.append(Switch(bracket.keeps, fits[0] - 1000, fits[0] + 1000))
            else:
                unsettled.append(bracket)
        self.switches = sorted([*self.switches, *unsettled], key=lambda item: item.first_ns)
        self.brackets.clear()
        return unsettled

    def forbidden(self) -> list[Sent]:
        """Return the packets of audio that may be nowhere."""
        return [sent for sent in self._audio() if self._keeps(sent) is False]

    def wanted(self) -> list[Sent]:
        """Return the packets of audio that must be in the recording."""
        return [sent for sent in self._audio() if self._keeps(sent)]

    def _audio(self) -> list[Sent]:
        return [sent for sent in list(self.peer.sent) if not sent.is_event]

    def _keeps(self, sent: Sent) -> bool | None:
        """Tell whether a packet is kept; None when it came while that changed."""
        keeps: bool | None = self.begins
        for switch in self.switches:
            keeps = _after(switch, sent, keeps)
        if self.cut is not None and keeps is not False:
            keeps = _after(self.cut, sent, keeps)
        return keeps if self.stored else False


def _after(switch: Switch, sent: Sent, before: bool | None) -> bool | None:
    if sent.gone_ns < switch.first_ns:
        return before
    return switch.keeps if sent.at_ns >= switch.last_ns else None


def _switching(edges: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the edges that were made from within the call: those of the API were confirmed with their time."""
    return [edge for edge in edges if edge["kind"] in _SHOWN and edge["by"] in {"exchange", "star code"}]


@dataclass
class Found:
    """What a search found: payloads with their places, and digits."""

    places: dict[bytes, set[str]] = field(default_factory=dict)
    offsets: dict[str, set[int]] = field(default_factory=dict)
    digits: list[str] = field(default_factory=list)

    def of(self, packets: Iterable[Sent]) -> dict[str, int]:
        """Return where packets were found, and how many of them."""
        counts: dict[str, int] = {}
        for sent in packets:
            for place in self.places.get(sent.payload, ()):
                counts[place] = counts.get(place, 0) + 1
        return counts

    def missing(self, packets: Iterable[Sent]) -> list[int]:
        """Return the packet times of those that were not found."""
        return [sent.turn for sent in packets if sent.payload not in self.places]


class Search:
    """Looks for the packets and keys of calls in what was opened."""

    def __init__(self, marks: Marks, peers: Iterable[MarkedPeer]) -> None:
        self._marks = marks
        self._peers = list(peers)

    @cached_property
    def sent(self) -> dict[bytes, Sent]:
        """All packets of audio by their payload."""
        return {sent.payload: sent for peer in self._peers for sent in list(peer.sent) if not sent.is_event}

    @cached_property
    def keys_pressed(self) -> set[bytes]:
        """What two packets of a key look like one after the other, and what the digits do in a text."""
        found = set(self._marks.dialled)
        for peer in self._peers:
            events = [sent.payload for sent in list(peer.sent) if sent.is_event]
            found |= {first + second for first, second in pairwise(events)}
        return found

    def look(self, opened: Iterable[tuple[str, bytes]]) -> Found:
        """Search; a piece of audio that bears the mark and is no packet of these calls fails."""
        found = Found()
        for place, octets in opened:
            for payload, sample in self._marks.found_in(octets):
                assert payload in self.sent, f"an unknown piece of a call in {place}"
                found.places.setdefault(payload, set()).add(place)
                found.offsets.setdefault(place, set()).add(sample - self.sent[payload].turn * 160)
            found.digits += [f"{item!r} in {place}" for item in self.keys_pressed if item in octets]
        return found


def timeline_of(service: RunningService, recording_id: str) -> list[dict[str, Any]]:
    """Return the edges of a recording."""
    answer = service.get(f"/v1/recordings/{recording_id}/timeline")
    assert answer.status == 200, answer.body
    edges: list[dict[str, Any]] = json.loads(answer.body)["edges"]
    return edges
