"""Peaks say how loud each moment was, for exactly as long as the recording lasts."""

import json

import numpy as np

from recorder.rtp import peaks


def measured(samples: np.ndarray, block: int) -> np.ndarray:
    meter = peaks.Peaks()
    for first in range(0, len(samples), block):
        meter.add(samples[first : first + block])
    return meter.magnitudes()


def test_blocks_do_not_show_in_the_levels() -> None:
    """The same audio in one block or in many gives the same bins; the last bin may be short."""
    samples = np.random.default_rng(1).integers(-32768, 32768, 4_150).astype(np.int16)
    whole = measured(samples, 100_000)
    assert (measured(samples, 400) == whole).all()
    assert len(whole) == 11
    assert whole[10] == np.abs(samples[4_000:].astype(int)).max()


def test_the_loudest_negative_sample_counts_too() -> None:
    """-32768 is a magnitude of 32768, drawn as the highest level."""
    samples = np.zeros(400, np.int16)
    samples[3] = -32768
    assert measured(samples, 400).tolist() == [32768]
    content = json.loads(peaks.document(["a"], [measured(samples, 400)], 50))
    assert content["levels"][1]["data"] == [[255]]


def test_the_document_has_both_rates_for_every_channel() -> None:
    """1.2 s of two channels are 24 fine and 3 coarse bins each, the coarse the loudest of ten fine ones."""
    fine = np.arange(24, dtype=np.int32) * 1280
    content = json.loads(peaks.document(["a", "b"], [fine, fine[::-1]], 1200))
    coarse, detail = content["levels"]
    assert (coarse["pps"], coarse["bins"], detail["pps"], detail["bins"]) == (2, 3, 20, 24)
    assert coarse["data"][0] == [90, 190, 230]
    assert detail["data"][1][0] == 230
    assert (content["durationMs"], content["channels"]) == (1200, ["a", "b"])


def test_speech_is_found_in_noise_and_short_pauses_belong_to_it() -> None:
    """A sentence with a breath in it is one stretch; a click is none; the noise of the line is none."""
    magnitudes = np.full(200, 90, np.int32)
    magnitudes[40:60] = 5000
    magnitudes[64:80] = 4000
    magnitudes[150] = 9000
    assert peaks.speech(magnitudes) == [(2000, 4000)]


def test_silence_has_no_speech() -> None:
    """Neither digital silence nor nothing at all is speech."""
    assert peaks.speech(np.zeros(100, np.int32)) == []
    assert peaks.speech(np.zeros(0, np.int32)) == []
    assert peaks.speech(np.full(100, 100, np.int32)) == []
