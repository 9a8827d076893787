"""Speaking with an OpenID provider: the code flow with PKCE, state and nonce (OpenID Connect Core 3.1).

What must be remembered until the browser comes back is a sealed challenge in a cookie of
that browser alone; so an answer counts only where it was asked for, and only once.

Who is to prove themselves anew is asked for with `prompt=login` and `max_age=0`, and only an
answer whose `auth_time` lies after the question counts: a provider may overlook the wish.

Rules: addresses come from the issuer's own document and have the issuer's scheme; nothing
follows a redirect. Of an id_token count the signature (asymmetric algorithms only),
issuer, audience, expiry, nonce. Not here: whose account a subject is (`pages.organisation`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from archive.catalogue.identity_providers import Provider

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""None of shared secrets, and never `none`."""

TIMEOUT_S = 10
DOCUMENT_BYTES_MAX = 256 * 1024
"""Documents, keys and tokens have some kilobytes."""

LEEWAY_S = 60
"""Clocks of two organisations."""

TOKEN_AGE_S_MAX = 600
SECOND_FACTOR_METHODS = frozenset({"mfa"})
"""Of RFC 8176: more than one kind of proof was asked."""

SCOPE = "openid email profile"


class ProviderError(Exception):
    """The provider does not answer, or answers what it may not; the message names no secret."""


@dataclass(frozen=True)
class Pending:
    """What is remembered of a question until its answer: all of it secret."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def fresh(cls) -> Pending:
        """Return a new question, 256 random bits in each part (RFC 7636 section 7.1)."""
        return cls(*(secrets.token_urlsafe(32) for _ in range(3)))


@dataclass(frozen=True)
class Subject:
    """Who somebody is to their provider; `email` only where the provider vouches for it."""

    issuer: str
    subject: str
    email: str | None
    second_factor: bool


@dataclass(frozen=True)
class Endpoints:
    """Where a provider is asked, by its own document (OpenID Connect Discovery 4)."""

    authorization: str
    token: str
    keys: str


class OpenIdClient:
    """The portal as a client of one provider."""

    def __init__(self, provider: Provider, redirect_uri: str) -> None:
        self._provider = provider
        self._redirect_uri = redirect_uri

    async def question(self, pending: Pending, login_hint: str = "", *, anew: bool = False) -> str:
        """Return where the browser goes; raises ProviderError.

        With `anew` the provider lets nobody through whom it let in before (OpenID Connect Core 3.1.2.1).
        """
        async with _session() as session:
            endpoints = await self._discover(session)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(pending.verifier.encode()).digest())
        query = {
            "response_type": "code",
            "client_id": self._provider.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": SCOPE,
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": challenge.decode().rstrip("="),
            "code_challenge_method": "S256",
            **({"login_hint": login_hint} if login_hint else {}),
            **({"prompt": "login", "max_age": "0"} if anew else {}),
        }
        joined = "&" if urlsplit(endpoints.authorization).query else "?"
        return f"{endpoints.authorization}{joined}{urlencode(query, quote_via=quote)}"

    async def answer(
        self, pending: Pending, query: Mapping[str, str], now: datetime, *, since: datetime | None = None
    ) -> Subject:
        """Return who came back with these parameters; raises ProviderError for anything amiss.

        With `since` also for a person who proved nothing to the provider after that moment.
        """
        if not hmac.compare_digest(query.get("state", "").encode(), pending.state.encode()):
            raise ProviderError("The answer is to another question.")
        if query.get("iss", self._provider.issuer) != self._provider.issuer:
            # RFC 9207: an answer of another provider, mixed up or meant to be.
            raise ProviderError("The answer is of another provider.")
        if "code" not in query:
            raise ProviderError("The provider did not let this person in.")
        async with _session() as session:
            endpoints = await self._discover(session)
            tokens = await self._exchange(session, endpoints, query["code"], pending.verifier)
            keys = _document(await _open(session, "GET", endpoints.keys))
        return self._judge(str(tokens.get("id_token", "")), keys, pending.nonce, now, since)

    async def _discover(self, session: aiohttp.ClientSession) -> Endpoints:
        address = f"{self._provider.issuer.rstrip('/')}/.well-known/openid-configuration"
        document = _document(await _open(session, "GET", address))
        if document.get("issuer") != self._provider.issuer:
            raise ProviderError("The provider's document names another issuer.")
        scheme = urlsplit(self._provider.issuer).scheme
        found = [
            str(document.get(name, "")) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
        ]
        if any(urlsplit(each).scheme not in {scheme, "https"} for each in found):
            raise ProviderError("The provider's document names an address that is not safe.")
        return Endpoints(*found)

    async def _exchange(
        self, session: aiohttp.ClientSession, endpoints: Endpoints, code: str, verifier: str
    ) -> Mapping[str, object]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        # RFC 6749 section 2.3.1: both parts are form-encoded before they are joined.
        name, secret = (
            quote(each, safe="") for each in (self._provider.client_id, self._provider.client_secret)
        )
        credentials = base64.b64encode(f"{name}:{secret}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}"}
        return _document(await _open(session, "POST", endpoints.token, data=form, headers=headers))

    def _judge(
        self, id_token: str, keys: Mapping[str, object], nonce: str, now: datetime, since: datetime | None
    ) -> Subject:
        claims = self._verified(id_token, keys, now)
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise ProviderError("The token is of another question.")
        audience = claims.get("aud")
        if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != self._provider.client_id:
            raise ProviderError("The token is for somebody else.")
        if since is not None and not _proved_since(claims.get("auth_time"), since):
            raise ProviderError("The person was not asked anew.")
        email, methods = claims.get("email"), claims.get("amr")
        vouched = claims.get("email_verified") is True and isinstance(email, str)
        asked = isinstance(methods, list) and bool(SECOND_FACTOR_METHODS & {str(each) for each in methods})
        return Subject(
            issuer=self._provider.issuer,
            subject=str(claims["sub"]),
            email=str(email) if vouched else None,
            second_factor=asked and self._provider.trusts_second_factor,
        )

    def _verified(self, id_token: str, keys: Mapping[str, object], now: datetime) -> Mapping[str, object]:
        moment = int(now.timestamp())
        registry = jwt.JWTClaimsRegistry(
            now=moment,
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self._provider.issuer},
            aud={"essential": True, "value": self._provider.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            key_set = KeySet.import_key_set(dict(keys))  # type: ignore[arg-type]
            claims: Mapping[str, object] = jwt.decode(id_token, key_set, algorithms=ALGORITHMS).claims
            registry.validate(dict(claims))
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise ProviderError(f"The token does not hold ({type(error).__name__}).") from None
        issued = claims["iat"]
        if not isinstance(issued, int) or moment - issued > TOKEN_AGE_S_MAX + LEEWAY_S:
            raise ProviderError("The token is from another time.")
        return claims


def _proved_since(auth_time: object, since: datetime) -> bool:
    """Return whether a claim says that somebody proved who they are after a moment."""
    is_time = isinstance(auth_time, int | float) and not isinstance(auth_time, bool)
    return is_time and float(auth_time) >= since.timestamp() - LEEWAY_S  # type: ignore[arg-type]


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))


async def _open(
    session: aiohttp.ClientSession,
    method: str,
    address: str,
    data: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    try:
        async with session.request(
            method, address, data=data, headers=headers, allow_redirects=False
        ) as answer:
            if answer.status != 200:
                raise ProviderError(f"The provider answers with status {answer.status}.")
            content = await _read(answer.content)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise ProviderError(f"The provider does not answer ({type(error).__name__}).") from None
    return content


async def _read(stream: aiohttp.StreamReader) -> bytes:
    content = bytearray()
    async for part in stream.iter_any():
        content += part
        if len(content) > DOCUMENT_BYTES_MAX:
            raise ProviderError("The provider's answer is too long.")
    return bytes(content)


def _document(content: bytes) -> Mapping[str, object]:
    try:
        document = json.loads(content)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ProviderError("The provider's answer is no JSON object.")
    return document
