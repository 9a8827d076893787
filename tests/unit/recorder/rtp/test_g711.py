"""G.711 is lossless here: what was received can be got back, octet for octet."""

import io

import numpy as np
import pytest
import soundfile

from recorder.rtp.g711 import (
    NEGATIVE_ZERO,
    POSITIVE_ZERO,
    Law,
    compress,
    expand,
    pack_negative_zeros,
    unpack_negative_zeros,
)

EVERY_OCTET = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize(("law", "subtype"), [(Law.A, "ALAW"), (Law.MU, "ULAW")])
def test_every_octet_expands_as_libsndfile_expands_it(law: Law, subtype: str) -> None:
    """An implementation by others agrees on all 256 codes."""
    theirs, _ = soundfile.read(
        io.BytesIO(EVERY_OCTET.tobytes()),
        dtype="int16",
        format="RAW",
        samplerate=8000,
        channels=1,
        subtype=subtype,
    )
    assert (expand(EVERY_OCTET, law) == theirs).all()


def test_every_a_law_octet_comes_back() -> None:
    """Compressing undoes expanding for all 256 codes of A-law, none of which is 0."""
    samples = expand(EVERY_OCTET, Law.A)
    assert (compress(samples, Law.A) == EVERY_OCTET).all()
    assert 0 not in samples


def test_every_mu_law_octet_but_the_negative_zero_comes_back() -> None:
    """Both zeros of mu-law expand to 0, which compresses to the positive one; the other 255 come back."""
    samples = expand(EVERY_OCTET, Law.MU)
    assert samples[NEGATIVE_ZERO] == samples[POSITIVE_ZERO] == 0
    back = compress(samples, Law.MU)
    assert back[NEGATIVE_ZERO] == POSITIVE_ZERO
    others = EVERY_OCTET != NEGATIVE_ZERO
    assert (back[others] == EVERY_OCTET[others]).all()


@pytest.mark.parametrize("law", list(Law))
def test_any_sample_gets_the_nearest_code(law: Law) -> None:
    """No code of either law lies closer to a sample than the one that is chosen."""
    samples = np.arange(-32768, 32768, 7, dtype=np.int32).astype(np.int16)
    codes = expand(EVERY_OCTET, law).astype(np.int64)
    chosen = expand(compress(samples, law), law).astype(np.int64)
    nearest = np.abs(samples.astype(np.int64)[:, None] - codes[None, :]).min(axis=1)
    assert (np.abs(samples - chosen) == nearest).all()


def test_negative_zeros_are_packed_and_unpacked() -> None:
    """The positions come back absolute, with their channel."""
    positions = np.array([0, 5, 9_999])
    channel, back = unpack_negative_zeros(pack_negative_zeros(1, 480_000, 10_000, positions))
    assert channel == 1
    assert (back == positions + 480_000).all()
