"""What the session recording server wants done, as frozen values.

The core (`recorder.srs.server`) decides; the shell (`recorder.service`) carries the
effects out in the order in which they come. That order is part of the promise: a
socket is bound and a slot written before the answer that invites audio goes out.

Not here: SIP messages on the wire (`recorder.sip`), how audio is captured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from archive.model import SessionOutcome, TenantId, UserId
from recorder.sip.dialog import DialogId
from recorder.sip.transaction import TransactionKey
from recorder.state import CallState


@dataclass(frozen=True)
class Moment:
    """Now, twice: `monotonic_s` measures, `wall_ns` (since 1970, UTC) dates.

    Monotonic times compare across processes within one start of the machine, which `boot_id` names; "" is
    a machine that does not tell. `wall_ns` runs evenly while the recorder runs; this machine's clock,
    which somebody may have set since, is `ahead_ns` ahead of it.
    """

    monotonic_s: float
    wall_ns: int
    boot_id: str = ""
    ahead_ns: int = 0

    @property
    def clock_ns(self) -> int:
        """What this machine's clock says."""
        return self.wall_ns + self.ahead_ns

    @property
    def origin_ns(self) -> int:
        """What `wall_ns` was when `monotonic_s` was 0."""
        return self.wall_ns - int(self.monotonic_s * 1e9)

    def by_clock_ahead(self, ahead_ns: int) -> Moment:
        """Return the same moment as a call dates it whose clock is that far ahead."""
        return replace(self, wall_ns=self.wall_ns + ahead_ns, ahead_ns=self.ahead_ns - ahead_ns)


@dataclass(frozen=True)
class Respond:
    """Answer the request `key` of the user agent."""

    key: TransactionKey
    status: int
    reason: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    content_type: str | None = None


@dataclass(frozen=True)
class HangUp:
    """Send a BYE in the dialog."""

    dialog_id: DialogId


@dataclass(frozen=True)
class ForgetDialog:
    """Drop all the user agent knows of the dialog, without a word to the peer."""

    dialog_id: DialogId


@dataclass(frozen=True)
class Probe:
    """Ask the peer by an in-dialog OPTIONS whether it still knows the dialog."""

    dialog_id: DialogId


@dataclass(frozen=True)
class OpenMedia:
    """Bind RTP and RTCP sockets for m= lines; the shell answers with `media_opened` or `media_refused`."""

    session_id: str
    positions: tuple[int, ...]
    address: str


@dataclass(frozen=True)
class CloseMedia:
    """Close the sockets of these m= lines (all of the session when empty)."""

    session_id: str
    positions: tuple[int, ...] = ()


@dataclass(frozen=True)
class OpenRecording:
    """Make a call key and a slot, and open a track in a capture process; `WriteState` follows."""

    uid: bytes
    state: CallState
    capturing: bool


@dataclass(frozen=True)
class CaptureStream:
    """Hand the sockets of an m= line to the capture process, for these recordings.

    `event_types` are the payload types of telephone-event; its digits are told where they
    are watched for, and kept nowhere.
    """

    session_id: str
    position: int
    index: int
    uids: tuple[bytes, ...]
    networks: tuple[str, ...]
    clock_rate_hz: int
    payload_types: tuple[int, ...]
    event_types: tuple[int, ...] = ()
    watch_digits: bool = False


@dataclass(frozen=True)
class RelearnStream:
    """The offer changed where audio comes from: latch the source anew."""

    session_id: str
    position: int


@dataclass(frozen=True)
class SetCapturing:
    """Begin or stop journalling, exact to a packet; the shell answers with `edge_dated`."""

    uid: bytes
    capturing: bool


@dataclass(frozen=True)
class WriteState:
    """Journal the newest state of a recording."""

    uid: bytes
    state: CallState


@dataclass(frozen=True)
class FinishRecording:
    """The recording ended: close its track, then finalise and archive it."""

    uid: bytes
    state: CallState


@dataclass(frozen=True)
class HoldForGrace:
    """The call is over and nobody kept it, but somebody still may: close its track, keep its key."""

    uid: bytes
    state: CallState


@dataclass(frozen=True)
class ConfirmCommand:
    """Tell who gave a command that it took effect at `at_ns`, or the `reason` why it did not.

    The shell makes durable what was journalled before it tells.
    """

    ticket: str
    tenant_id: TenantId
    obeyed: bool
    reason: str
    at_ns: int


@dataclass(frozen=True)
class RemindPause:
    """A recording is paused since `paused_ns`, which is long: somebody may have forgotten it."""

    uid: bytes
    paused_ns: int


@dataclass(frozen=True)
class ConsumeKeepNext:
    """The user's "keep my next call" was honoured and holds for no other call."""

    tenant_id: TenantId
    user_id: UserId
    until: datetime


@dataclass(frozen=True)
class DestroyRecording:
    """Nothing of it may exist: discard what is in memory, overwrite its slot.

    Of an `exempt` call not even that it ran may be told anywhere.
    """

    uid: bytes
    exempt: bool = False


@dataclass(frozen=True)
class CutRecording:
    """An exempt party joined at `at_ns`: destroy the audio from there on, archive what is left."""

    uid: bytes
    at_ns: int
    state: CallState


@dataclass(frozen=True)
class ReportOutcome:
    """A session ended without a recording; its outcome is told to the catalogue.

    One that is not `final` is of a session that runs: kept in case the recorder is
    stopped before its end, and told only then.
    """

    outcome: SessionOutcome
    final: bool = True


@dataclass(frozen=True)
class RetractOutcome:
    """Forget the outcome that was not final: the session is recorded now, or became exempt."""

    session_id: str


@dataclass(frozen=True)
class CountExempt:
    """Add one to the instance-wide count of the day; nothing else of the call is kept."""


Effect = (
    Respond
    | HangUp
    | ForgetDialog
    | Probe
    | OpenMedia
    | CloseMedia
    | OpenRecording
    | CaptureStream
    | RelearnStream
    | SetCapturing
    | WriteState
    | FinishRecording
    | HoldForGrace
    | ConfirmCommand
    | RemindPause
    | ConsumeKeepNext
    | DestroyRecording
    | CutRecording
    | ReportOutcome
    | RetractOutcome
    | CountExempt
)


@dataclass(frozen=True)
class Limits:
    """How much a recorder takes on, and how long it waits.

    `sessions_max`: sockets and memory are planned for this many with media at once;
    `dialogs_max` counts those answered inactive too, below what the user agent holds.
    `hold_back_s`: how long audio waits, in the kernel's buffers only, for the first
    metadata to be judged (reference: at most 2 s, and a default buffer holds 5 s).
    `session_s_max`: the finaliser holds a call in memory; after this it is ended and
    the client may begin another.
    `clock_error_s_max`: a client's time that lies further back than a wrong time zone
    explains is that of a clock that was never set. `reminder_s`: a pause for a card number
    is over by then; a longer one is told of.
    """

    sessions_max: int = 2000
    hold_back_s: float = 2.0
    silence_s: float = 60.0
    probe_s: float = 32.0
    recovery_silence_s: float = 15.0
    session_s_max: float = 12 * 3600.0
    retry_after_s: int = 30
    exempt_lookback_s: float = 2.0
    clock_error_s_max: float = 24 * 3600.0
    dialogs_max: int = 10_000
    reminder_s: float = 60.0
