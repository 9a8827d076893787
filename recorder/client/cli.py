"""`earwitness call`: places one real recorded call, for trying and testing.

    earwitness call --to 127.0.0.1:5060 --caller +31201234567 --callee +31612345678

Exit 0 when the call was answered and ended in order, 1 when it was refused or the
sound can't be had, 2 for wrong use.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from recorder.client.call import (
    KEYS,
    CallPlan,
    Dialect,
    Ending,
    PauseBy,
    PlacedCall,
    PlannedEvent,
    StreamPlan,
    TlsIdentity,
    Transport,
)
from recorder.client.session import SessionRecordingClient
from recorder.client.sound import SoundUnreadable, read_sound
from recorder.client.speech import VoiceUnavailable, conversation, tone_conversation

DEFAULT_SECONDS = 10.0

# A day-long call is a mistake of the keyboard; its sound is made in memory.
SECONDS_MAX = 4 * 3600.0

PORT_MAX = 65535

_EPILOG = (
    "example: earwitness call --to 127.0.0.1:5060 --caller +31201234567 --callee +31612345678 --seconds 8"
)


def run_call(arguments: list[str]) -> int:
    """Place the call that `arguments` describe; print the result and return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.resume_at is not None and (options.pause_at is None or options.resume_at <= options.pause_at):
        parser.error("--resume-at needs an earlier --pause-at")
    if (options.tls_cert is None) != (options.tls_key is None):
        parser.error("--tls-cert and --tls-key belong together")
    try:
        caller, callee = _sound(options)
        call = _plan(options, caller, callee)
        placed = asyncio.run(SessionRecordingClient().place(call))
    except (SoundUnreadable, OSError) as error:
        print(f"earwitness call: {error}", file=sys.stderr)
        return 1
    print(json.dumps(summary(placed)) if options.json else _sentence(placed))
    return 0 if placed.ending in {Ending.HUNG_UP, Ending.HUNG_UP_BY_PEER} else 1


def summary(placed: PlacedCall) -> dict[str, object]:
    """Return a placed call as `--json` prints it."""
    return {
        "callId": placed.call_id,
        "status": placed.status,
        "reason": placed.reason,
        "ending": placed.ending.value,
        "seconds": placed.seconds,
        "streams": [
            {"label": stream.label, "active": stream.active, "packets": len(stream.packets)}
            for stream in placed.streams
        ],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="earwitness call",
        description="Place one real SIPREC call at a session recording server, as a client would.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("--to", required=True, type=_address, metavar="HOST:PORT", help="SIP address of the recorder")
    add("--caller", required=True, type=_party, help="number or SIP URI of the calling party")
    add("--callee", required=True, type=_party, help="number or SIP URI of the called party")
    add("--caller-name", default="", type=_text, help="display name of the caller")
    add("--callee-name", default="", type=_text, help="display name of the callee")
    add("--wav-caller", type=Path, metavar="FILE", help="sound of the caller (default: speech)")
    add("--wav-callee", type=Path, metavar="FILE", help="sound of the callee (default: speech)")
    add(
        "--seconds",
        type=_seconds,
        help=f"length of the call (default: of the files, else {DEFAULT_SECONDS:g})",
    )
    add(
        "--dialect",
        type=Dialect,
        choices=list(Dialect),
        default=Dialect.RFC7865,
        help="how the call is described",
    )
    add(
        "--recorded",
        choices=("caller", "callee"),
        default="caller",
        help="who is recorded (BroadWorks) and presses keys",
    )
    add(
        "--broadworks-id",
        default="",
        type=_text,
        metavar="ID",
        help="BroadWorks userID of the recorded party",
    )
    add("--domain", default="exchange.example", type=_party, help="SIP domain of the numbers")
    _add_course(parser)
    add(
        "--transport",
        type=Transport,
        choices=list(Transport),
        default=Transport.UDP,
        help="carrier of the SIP (default: udp); tls encrypts what is said about the call, not its sound",
    )
    add(
        "--tls-ca",
        type=Path,
        metavar="FILE",
        help="authorities of the recorder's certificate (default: this machine's)",
    )
    add("--tls-cert", type=Path, metavar="FILE", help="certificate shown to a recorder that asks for one")
    add("--tls-key", type=Path, metavar="FILE", help="its private key")
    add("--call-id", type=_party, help="SIP Call-ID (default: a new one)")
    add("--json", action="store_true", help="print the result as JSON")
    return parser


def _add_course(parser: argparse.ArgumentParser) -> None:
    """Add what happens in the course of the call."""
    add = parser.add_argument
    add("--pause-at", type=_seconds, metavar="S", help="pause the recording after S seconds")
    add("--resume-at", type=_seconds, metavar="S", help="resume it after S seconds")
    add(
        "--pause-by",
        type=PauseBy,
        choices=list(PauseBy),
        help="how the pause is said (default: as the dialect does)",
    )
    add("--keep-sending", action="store_true", help="go on sending RTP while paused")
    add(
        "--press",
        type=_keys,
        action="append",
        default=[],
        metavar="S:KEYS",
        help="press keys after S seconds, for instance 2.0:*48; the party of --recorded does, repeatable",
    )


def _plan(options: argparse.Namespace, caller: bytes, callee: bytes) -> CallPlan:
    host, port = options.to
    caller_keys, callee_keys = tuple(options.press), ()
    if options.recorded == "callee":
        caller_keys, callee_keys = callee_keys, caller_keys
    return CallPlan(
        host=host,
        port=port,
        caller=options.caller,
        callee=options.callee,
        caller_stream=StreamPlan(caller, events=caller_keys),
        callee_stream=StreamPlan(callee, events=callee_keys),
        transport=options.transport,
        dialect=options.dialect,
        pause_at_s=options.pause_at,
        resume_at_s=options.resume_at,
        pause_by=options.pause_by,
        sends_while_paused=options.keep_sending,
        caller_name=options.caller_name,
        callee_name=options.callee_name,
        domain=options.domain,
        recorded=options.recorded,
        broadworks_id=options.broadworks_id,
        call_id=options.call_id,
        identity=TlsIdentity(options.tls_ca, options.tls_cert, options.tls_key),
    )


def _sound(options: argparse.Namespace) -> tuple[bytes, bytes]:
    """Return what the parties say: the named files, and speech or tones for who has none."""
    files = [options.wav_caller, options.wav_callee]
    read = [read_sound(path) if path is not None else None for path in files]
    longest_s = max((len(octets) / 8000 for octets in read if octets is not None), default=DEFAULT_SECONDS)
    seconds = options.seconds or longest_s
    made = (b"", b"")
    if None in read:
        try:
            made = conversation(seconds)
        except VoiceUnavailable as error:
            print(f"note: {error} The parties exchange tones instead.", file=sys.stderr)
            made = tone_conversation(seconds)
    octets = round(seconds * 8000)
    caller, callee = (
        (own if own is not None else other)[:octets] for own, other in zip(read, made, strict=True)
    )
    return caller, callee


def _sentence(placed: PlacedCall) -> str:
    if placed.ending is Ending.REFUSED:
        return f"Refused: {placed.status} {placed.reason} (Call-ID {placed.call_id})"
    packets = ", ".join(
        f"stream {stream.label}: {len(stream.packets)} packets"
        if stream.active
        else f"stream {stream.label}: not wanted"
        for stream in placed.streams
    )
    ending = f"Answered {placed.status}, {placed.ending} after {placed.seconds:.1f} s"
    return f"{ending}, {packets} (Call-ID {placed.call_id})"


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.removeprefix("sip:").rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) <= PORT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= SECONDS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to {SECONDS_MAX:g}")
    return seconds


def _keys(text: str) -> PlannedEvent:
    at, _, digits = text.partition(":")
    try:
        return PlannedEvent(_seconds(at), digits)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not SECONDS:KEYS with keys out of {KEYS}, like 2.0:*48"
        ) from None


def _text(text: str) -> str:
    if not text.isprintable():
        raise argparse.ArgumentTypeError("control characters don't belong in a SIP header")
    return text


def _party(text: str) -> str:
    if not text or any(character.isspace() or character in '<>";,' for character in _text(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, SIP URI or domain")
    return text
