"""What a browser and a device say to each other about passkeys, and whether we believe it.

Questions are `options` for the browser and a sealed challenge (`keys.challenge`) that
comes back with the answer. An answer is checked by Web Authentication level 3, sections
7.1 and 7.2, with the `webauthn` package.

Rules: pure but for randomness. The relying party is the host name of the portal's own
address, never what a request names. No attestation is asked: which make of device people
have is theirs. Not here: what an answer is good for (`pages.passkeys`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialCreationOptions,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialRequestOptions,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from archive.catalogue.identities import Account
from archive.catalogue.passkeys import Passkey, handle_of
from archive.settings import is_loopback
from keys import challenge
from keys.root import Root

LIFE_S = 5 * 60
"""Time to find a stick or a telephone."""

CREDENTIAL_CHARS_MAX = 16 * 1024
"""An answer with a certificate has some 6000 characters."""

MAKE, SIGN_IN, SECOND_FACTOR = "passkey-make", "passkey-sign-in", "passkey-second-factor"
"""What a challenge is for; an answer to one is no answer to another."""


@dataclass(frozen=True)
class RelyingParty:
    """Who asks: the host name passkeys are bound to, and the origins pages come from."""

    id: str
    origins: tuple[str, ...]

    @classmethod
    def of_url(cls, url: str) -> RelyingParty:
        """Return the relying party of the portal's address; this machine is `localhost` to browsers."""
        parts = urlsplit(url)
        host = parts.hostname or "localhost"
        name = "localhost" if is_loopback(host) else host
        port = f":{parts.port}" if parts.port else ""
        return cls(
            name, tuple(dict.fromkeys((f"{parts.scheme}://{parts.netloc}", f"{parts.scheme}://{name}{port}")))
        )


@dataclass(frozen=True)
class Made:
    """A device that was added."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    user_verified: bool


@dataclass(frozen=True)
class Signed:
    """A device that answered; `user_verified` when it made sure of its person by finger or PIN."""

    sign_count: int
    user_verified: bool


@dataclass(frozen=True)
class Asker:
    """Asks on behalf of a relying party; `now` is when it does."""

    party: RelyingParty
    root: Root
    now: datetime

    def to_make(self, account: Account, name: str, known: Sequence[Passkey]) -> dict[str, object]:
        """Return the question for a new passkey of a person; devices that are known are not asked again."""
        options = generate_registration_options(
            rp_id=self.party.id,
            rp_name="earwitness",
            user_id=handle_of(account),
            user_name=name,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.PREFERRED,
                user_verification=UserVerificationRequirement.PREFERRED,
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=each.credential_id) for each in known],
            timeout=LIFE_S * 1000,
        )
        return self._question(MAKE, options, account)

    def to_sign(self, account: Account | None, known: Sequence[Passkey] = ()) -> dict[str, object]:
        """Return the question for a signature: of this person's devices, or of whoever has one of ours.

        Alone a passkey has to make sure of its person; behind a password it is enough to have it.
        """
        verification = UserVerificationRequirement
        options = generate_authentication_options(
            rp_id=self.party.id,
            allow_credentials=[PublicKeyCredentialDescriptor(id=each.credential_id) for each in known],
            user_verification=verification.REQUIRED if account is None else verification.PREFERRED,
            timeout=LIFE_S * 1000,
        )
        return self._question(SIGN_IN if account is None else SECOND_FACTOR, options, account)

    def _question(
        self,
        purpose: str,
        options: PublicKeyCredentialCreationOptions | PublicKeyCredentialRequestOptions,
        account: Account | None,
    ) -> dict[str, object]:
        user = account.user_id if account is not None else ""
        fields = {"challenge": bytes_to_base64url(options.challenge), "user": user}
        sealed = challenge.seal(self.root, purpose, fields, ends=self.now + timedelta(seconds=LIFE_S))
        return {"options": json.loads(options_to_json(options)), "challenge": sealed}


def expected(root: Root, purpose: str, sealed: str, account: Account | None, now: datetime) -> bytes | None:
    """Return the challenge an answer must hold, or None when the question was not ours, or another's."""
    fields = challenge.unseal(root, purpose, sealed, now=now)
    if fields is None or fields["user"] != (account.user_id if account is not None else ""):
        return None
    return base64url_to_bytes(fields["challenge"])


def check_made(party: RelyingParty, wanted: bytes, credential: Mapping[str, object]) -> Made | None:
    """Return the device an answer tells of, or None when the answer is not right."""
    try:
        found = verify_registration_response(
            credential=dict(credential),
            expected_challenge=wanted,
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
        )
    except _WRONG:
        return None
    return Made(found.credential_id, found.credential_public_key, found.sign_count, found.user_verified)


def check_signed(
    party: RelyingParty, wanted: bytes, credential: Mapping[str, object], passkey: Passkey, *, alone: bool
) -> Signed | None:
    """Return what a signature of a device is good for, or None when it is not right."""
    try:
        found = verify_authentication_response(
            credential=dict(credential),
            expected_challenge=wanted,
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=alone,
        )
    except _WRONG:
        return None
    return Signed(found.new_sign_count, found.user_verified)


def field_of(credential: Mapping[str, object], *names: str) -> bytes:
    """Return the octets of a field of an answer, b"" when it is not there or no text."""
    value: object = credential
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(value, str) or len(value) > CREDENTIAL_CHARS_MAX:
        return b""
    try:
        return base64url_to_bytes(value)
    except ValueError:
        return b""


_WRONG = (WebAuthnException, ValueError, KeyError, TypeError, RecursionError)
"""What the package raises for answers that are wrong or not even answers."""
