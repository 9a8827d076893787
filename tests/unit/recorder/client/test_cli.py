"""`earwitness call` as people use it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recorder.client import cli, speech
from recorder.client.speech import VoiceUnavailable

PARTIES = ["--caller", "+31201234567", "--callee", "112"]


async def run(recorder: object, *options: str) -> int:
    arguments = ["--to", f"127.0.0.1:{recorder.port}", *PARTIES, *options]
    return await asyncio.to_thread(cli.run_call, arguments)


async def test_a_call_prints_what_was_sent(
    start_recorder: object, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = await start_recorder("tcp")
    code = await run(recorder, "--seconds", "0.2", "--transport", "tcp", "--json", "--call-id", "abc")
    result = json.loads(capsys.readouterr().out)
    assert code == 0
    assert result["callId"] == "abc"
    assert (result["status"], result["ending"]) == (200, "hung up")
    assert [stream["packets"] for stream in result["streams"]] == [10, 10]
    assert result["seconds"] >= 0.2


async def test_a_refused_call_exits_with_1(
    start_recorder: object, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = await start_recorder(status=403)
    assert await run(recorder, "--seconds", "0.1") == 1
    assert capsys.readouterr().out.startswith("Refused: 403")


async def test_an_inactive_answer_is_told(start_recorder: object, capsys: pytest.CaptureFixture[str]) -> None:
    recorder = await start_recorder(direction="inactive")
    assert await run(recorder, "--seconds", "0.1") == 0
    assert "stream 1: not wanted" in capsys.readouterr().out


@pytest.mark.parametrize("recorded", ["caller", "callee"])
async def test_who_is_recorded_presses_keys(
    start_recorder: object, recorded: str, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = await start_recorder()
    options = ("--seconds", "0.5", "--press", "0.1:*", "--press", "0.3:4", "--recorded", recorded)
    assert await run(recorder, *options) == 0
    recorder.drain()
    events = [[packet[12] for packet in packets if packet[1] & 0x7F == 101] for packets in recorder.packets]
    both = [[10] * 7 + [4] * 7, []]
    assert events == (both if recorded == "caller" else both[::-1])
    capsys.readouterr()


async def test_a_pause_by_an_address_of_zero_may_stop_no_packet(
    start_recorder: object, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = await start_recorder()
    options = ("--pause-at", "0.1", "--pause-by", "zero-address", "--keep-sending", "--json")
    assert await run(recorder, "--seconds", "0.4", *options) == 0
    result = json.loads(capsys.readouterr().out)
    assert [stream["packets"] for stream in result["streams"]] == [20, 20]
    pause = recorder.requests[2]
    assert (pause.method, pause.cseq.number) == ("INVITE", 2)
    assert b"c=IN IP4 0.0.0.0" in pause.body


async def test_the_parties_may_come_from_files(
    start_recorder: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = await start_recorder()
    sound = tmp_path / "caller.wav"
    soundfile.write(sound, np.zeros(1600, np.int16), 8000)
    options = ("--wav-caller", str(sound), "--wav-callee", str(sound), "--json")
    assert await run(recorder, *options) == 0
    result = json.loads(capsys.readouterr().out)
    assert [stream["packets"] for stream in result["streams"]] == [10, 10]


async def test_a_missing_file_exits_with_1(
    start_recorder: object, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = await start_recorder()
    assert await run(recorder, "--wav-caller", "/nowhere/caller.wav", "--seconds", "0.1") == 1
    assert "caller.wav" in capsys.readouterr().err


async def test_without_speech_there_are_tones_and_a_note(
    start_recorder: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def mute(seconds: float) -> tuple[bytes, bytes]:
        raise VoiceUnavailable("Speech needs the extra `demo`.")

    monkeypatch.setattr(cli, "conversation", mute)
    recorder = await start_recorder()
    assert await run(recorder, "--seconds", "0.1") == 0
    assert "demo" in capsys.readouterr().err
    assert speech.CONVERSATION


@pytest.mark.parametrize(
    "wrong",
    [
        ["--to", "nowhere"],
        ["--to", "h:0"],
        ["--to", "h:65536"],
        ["--seconds", "-1"],
        ["--seconds", "14401"],
        ["--seconds", "long"],
        ["--dialect", "klingon"],
        ["--caller", "a b"],
        ["--caller", 'a"b'],
        ["--caller-name", "a\r\nVia: x"],
        ["--resume-at", "2"],
        ["--pause-by", "magic"],
        ["--press", "*48"],
        ["--press", "2:"],
        ["--press", "2:4x"],
        ["--press", "-1:4"],
        ["--pause-at", "2", "--resume-at", "2"],
    ],
)
def test_wrong_use_exits_with_2(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.run_call(["--to", "127.0.0.1:5060", *PARTIES, *wrong])
    assert ended.value.code == 2
    capsys.readouterr()


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.run_call(["--help"])
    assert ended.value.code == 0
    assert "example: earwitness call" in capsys.readouterr().out
