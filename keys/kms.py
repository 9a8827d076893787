"""AWS KMS as root: the key never leaves the service, which wraps and unwraps for us.

A secret is encrypted under the key of the ARN with our context as its encryption
context, so that KMS itself refuses another one. What it gives is kept as
`0x10 || ciphertext of KMS`. Credentials come from where boto3 looks for them
(environment, profile, instance role); an endpoint of one's own from
AWS_ENDPOINT_URL_KMS.

The service rotates keys itself and remembers which version it used.

Not proved here: AWS cannot be reached from the tests, which speak to an imitation
(docs/assurance.md).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypedDict, cast

import boto3.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from keys.envelope import SECRET_BYTES_MAX
from keys.errors import KeyringLocked, KeyStoreUnavailable, SealBroken

TIMEOUT_S = 10.0
ATTEMPTS = 3

_FORMAT = b"\x10"
_ARN = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:(key|alias)/[A-Za-z0-9/_-]+")
_CONTEXT = "earwitness"

# What KMS says of octets, key or context that do not belong together.
_BROKEN = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
# What only an administrator of the key can mend.
_LOCKED = frozenset(
    {
        "AccessDeniedException",
        "DisabledException",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidKeyUsageException",
        "KMSInvalidStateException",
        "NotFoundException",
        "UnrecognizedClientException",
    }
)


class _Encrypted(TypedDict):
    CiphertextBlob: bytes


class _Decrypted(TypedDict):
    Plaintext: bytes


class _Client(Protocol):
    """The two calls of KMS that are used."""

    def encrypt(
        self,
        *,
        KeyId: str,  # noqa: N803 - names of AWS
        Plaintext: bytes,  # noqa: N803
        EncryptionContext: dict[str, str],  # noqa: N803
    ) -> _Encrypted:
        """Encrypt up to 4096 octets."""

    def decrypt(
        self,
        *,
        KeyId: str,  # noqa: N803
        CiphertextBlob: bytes,  # noqa: N803
        EncryptionContext: dict[str, str],  # noqa: N803
    ) -> _Decrypted:
        """Decrypt what `encrypt` gave."""


class AwsKms:
    """A root that is a key in AWS KMS; safe to share among threads."""

    kind = "kms"

    def __init__(self, arn: str, client: _Client) -> None:
        self._arn = arn
        self._client = client

    @classmethod
    def open(cls, arn: str) -> AwsKms:
        """Return the root for a key's ARN; nothing is asked yet. Raises KeyringLocked."""
        match = _ARN.fullmatch(arn)
        if match is None:
            raise KeyringLocked(
                "A keyring kms: is named by the ARN of its key: kms:arn:aws:kms:REGION:ACCOUNT:key/ID."
            )
        config = Config(
            connect_timeout=TIMEOUT_S,
            read_timeout=TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        )
        with _asking():
            client = boto3.session.Session().client("kms", region_name=match[1], config=config)
        return cls(arn, cast("_Client", client))

    def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        """Return `plaintext` (1 to 4096 octets) sealed by KMS and bound to `context`."""
        if not 1 <= len(plaintext) <= SECRET_BYTES_MAX:
            raise ValueError(f"A secret to wrap has 1 to {SECRET_BYTES_MAX} octets, not {len(plaintext)}.")
        with _asking():
            answer = self._client.encrypt(
                KeyId=self._arn, Plaintext=plaintext, EncryptionContext=_encryption_context(context)
            )
        return _FORMAT + answer["CiphertextBlob"]

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return what `wrap` sealed; raises SealBroken for another key, context or octets."""
        if wrapped[:1] != _FORMAT or len(wrapped) == 1:
            raise SealBroken("This was not wrapped by AWS KMS.")
        with _asking():
            answer = self._client.decrypt(
                KeyId=self._arn, CiphertextBlob=wrapped[1:], EncryptionContext=_encryption_context(context)
            )
        return answer["Plaintext"]

    def rotate(self) -> None:
        """Refuse: KMS rotates its keys itself."""
        raise KeyringLocked(
            "AWS KMS rotates its keys itself: switch automatic rotation on, or move to another key "
            "by naming this one in KEYRING_FORMER."
        )

    def rewrapped(self, wrapped: bytes, context: bytes) -> None:
        """Check that this key wrapped it; which version did is the business of KMS."""
        self.unwrap(wrapped, context)


def _encryption_context(context: bytes) -> dict[str, str]:
    return {_CONTEXT: base64.b64encode(context).decode()}


@contextmanager
def _asking() -> Iterator[None]:
    """Turn what boto3 raises into the errors of this package; the texts of AWS may name accounts."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in _BROKEN:
            raise SealBroken("AWS KMS refuses it: altered, or wrapped by another key or purpose.") from error
        if code in _LOCKED:
            raise KeyringLocked(
                f"AWS KMS does not let us use the key ({code}): check its ARN, state and key policy."
            ) from error
        raise KeyStoreUnavailable(f"AWS KMS answers with a fault ({code}); it is tried again.") from error
    except BotoCoreError as error:
        raise KeyStoreUnavailable(
            f"AWS KMS can't be asked ({type(error).__name__}): check network and credentials."
        ) from error
