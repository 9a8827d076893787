"""A wrapped key opens with its own KEK and context, and with nothing else."""

import pytest

from keys.envelope import KEY_BYTES, SECRET_BYTES_MAX, new_key, unwrap_key, wrap_key
from keys.errors import SealBroken

KEK = bytes(range(32))


def test_a_wrapped_key_unwraps_to_itself() -> None:
    key = new_key()
    assert unwrap_key(KEK, wrap_key(KEK, key, b"context"), b"context") == key


def test_keys_and_nonces_are_new_each_time() -> None:
    assert len({new_key() for _ in range(100)}) == 100
    assert len({wrap_key(KEK, bytes(32), b"")[1:13] for _ in range(100)}) == 100


def test_another_kek_does_not_unwrap() -> None:
    with pytest.raises(SealBroken, match="another key"):
        unwrap_key(new_key(), wrap_key(KEK, new_key(), b"context"), b"context")


def test_another_context_does_not_unwrap() -> None:
    with pytest.raises(SealBroken, match="purpose"):
        unwrap_key(KEK, wrap_key(KEK, new_key(), b"recording 1"), b"recording 2")


def test_no_flipped_bit_and_no_truncation_goes_unnoticed() -> None:
    wrapped = wrap_key(KEK, new_key(), b"context")
    altered = [wrapped[:length] for length in range(len(wrapped))] + [wrapped + b"\0"]
    for bit in range(len(wrapped) * 8):
        flipped = bytearray(wrapped)
        flipped[bit // 8] ^= 1 << bit % 8
        altered.append(bytes(flipped))
    for octets in altered:
        with pytest.raises(SealBroken):
            unwrap_key(KEK, octets, b"context")


def test_a_secret_may_have_4096_octets_and_no_more() -> None:
    secret = bytes(SECRET_BYTES_MAX)
    assert unwrap_key(KEK, wrap_key(KEK, secret, b""), b"") == secret
    with pytest.raises(ValueError, match="4096"):
        wrap_key(KEK, secret + b"\0", b"")
    with pytest.raises(ValueError, match="has 0"):
        wrap_key(KEK, b"", b"")


@pytest.mark.parametrize("octets", [0, 16, KEY_BYTES - 1, KEY_BYTES + 1])
def test_a_kek_of_another_size_is_a_defect_of_the_caller(octets: int) -> None:
    with pytest.raises(ValueError, match="32 octets"):
        wrap_key(bytes(octets), bytes(32), b"")
