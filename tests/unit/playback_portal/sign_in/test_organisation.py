"""Single sign-on against a small OpenID provider over HTTP that can lie in every way."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from archive.catalogue import identities, identity_providers
from archive.catalogue.identities import Account
from archive.catalogue.identity_providers import Provider
from archive.errors import Conflict, Refused
from archive.model import Role
from keys import challenge

REFRESH = re.compile(r'http-equiv="refresh" content="0;url=([^"]+)"')
SECRET = "s3cret of the bakery: +/&="


class IdentityProvider:
    """Lets everybody in as `claims` say; `lies` change what it answers."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.key: Any = RSAKey.generate_key(2048, parameters={"kid": "one"})
        self.signing: Any = self.key
        self.algorithm = "RS256"
        self.document: dict[str, Any] = {}
        self.tokens: dict[str, Any] = {}
        self.now: Callable[[], float] = lambda: 0
        self.codes: dict[str, dict[str, str]] = {}
        self.address = ""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._discover)
        app.router.add_get("/keys", self._keys)
        app.router.add_post("/token", self._token)
        return app

    def authorize(self, address: str) -> dict[str, str]:
        """Answer the browser that was led to `address`: what it brings back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe()
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    async def _discover(self, request: web.Request) -> web.Response:
        document = {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": f"{self.address}/token",
            "jwks_uri": f"{self.address}/keys",
        }
        return web.json_response({**document, **self.document})

    async def _keys(self, request: web.Request) -> web.Response:
        return web.json_response({"keys": [self.key.as_dict(private=False)]})

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        asked = self.codes.pop(str(form["code"]), None)
        name, _, secret = (
            base64.b64decode(request.headers["Authorization"].split()[1]).decode().partition(":")
        )
        assert (name, unquote(secret)) == ("earwitness", SECRET)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(str(form["code_verifier"]).encode()).digest())
        if asked is None or challenge.decode().rstrip("=") != asked["code_challenge"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        assert form["redirect_uri"] == asked["redirect_uri"]
        now = int(self.now())
        claims = {
            "iss": self.address,
            "aud": "earwitness",
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
        }
        header = {"alg": self.algorithm, "kid": "one"}
        token = jwt.encode(header, {**claims, **self.claims}, self.signing, algorithms=[self.algorithm])
        return web.json_response({"id_token": token, "token_type": "Bearer", **self.tokens})


@pytest.fixture
async def provider(door: Any, clock: Any) -> AsyncIterator[IdentityProvider]:
    """The bakery's own provider, written down as its way to sign in."""
    made = IdentityProvider()
    made.now = lambda: clock.now().timestamp()
    server = TestServer(made.app())
    await server.start_server()
    made.address = str(server.make_url("")).rstrip("/")
    set_up(door, made)
    yield made
    await server.close()
    with door.house.operator.transaction(door.tenant_id) as connection:
        identity_providers.remove_provider(connection, door.tenant_id)


def proved(door: Any) -> str:
    """Return the address of somebody new, which they proved."""
    address = f"{secrets.token_hex(6)}@mail.example"
    door.person(password=None, email=address)
    return address


def set_up(door: Any, provider: IdentityProvider, *, trusts: bool = False, logins: bool = False) -> None:
    written = Provider(provider.address, "earwitness", SECRET, trusts, logins)
    with door.house.operator.transaction(door.tenant_id) as connection:
        identity_providers.set_provider(connection, door.house.root, door.tenant_id, written)


async def led(browser: Any, back: str = "/me") -> str:
    """Return where somebody of the bakery is led to."""
    answer = await browser.post("/sign-in/organisation", {"organisation": "bakery.example", "next": back})
    assert answer.status == 200, answer.status
    found = REFRESH.search(browser.page)
    assert found is not None
    return html.unescape(found[1])


async def comes_back(browser: Any, provider: IdentityProvider, **changes: str) -> Any:
    """Return what somebody is answered who was let in by the provider."""
    query = {**provider.authorize(await led(browser)), **changes}
    return await browser.client.get("/sign-in/callback", params=query, allow_redirects=False)


def vouched(email: str, **claims: Any) -> dict[str, Any]:
    return {"sub": f"subject of {email}", "email": email, "email_verified": True, **claims}


async def test_a_vouched_address_links_the_subject_and_lets_in(
    browser: Any, browsers: Callable[[], Any], door: Any, provider: IdentityProvider
) -> None:
    anna = door.person(password=None, email="anna.sso@mail.example")
    provider.claims = vouched("Anna.SSO@mail.example")
    answer = await comes_back(browser, provider)
    assert (answer.status, answer.headers["Location"]) == (303, "/me")
    assert (await browser.get("/me")).status == 200
    assert [event for event, _ in door.events(anna)][:2] == ["identity.linked", "session.opened"]
    # From now on the subject counts, whatever its address has become.
    provider.claims = {"sub": "subject of Anna.SSO@mail.example"}
    assert (await comes_back(browsers(), provider)).status == 303


async def test_the_session_of_who_comes_back_from_another_site_ends_with_the_new_one(
    browser: Any, browsers: Callable[[], Any], door: Any, provider: IdentityProvider
) -> None:
    """The browser keeps a strict cookie back until a page of ours leads the answer on, once."""
    anna = door.person(email="anna.again@mail.example")
    await browser.sign_in(door.login(anna))
    before = browser.cookie
    provider.claims = vouched("anna.again@mail.example")
    answer = provider.authorize(await led(browser))
    browser.cookie = ""
    from_there = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert (await browser.get(f"/sign-in/callback?{urlencode(answer)}", **from_there)).status == 200
    found = REFRESH.search(browser.page)
    assert found is not None
    browser.cookie = before
    led_on = await browser.get(html.unescape(found[1]))
    assert (led_on.status, led_on.headers["Location"]) == (303, "/me")
    old = browsers()
    old.cookie = before
    assert (await old.get("/me")).status == 303
    # A browser that says the same of every step is not led round for ever.
    again = browsers()
    answer = provider.authorize(await led(again))
    page = f"/sign-in/callback?{urlencode({**answer, 'arrived': 'yes'})}"
    assert (await again.get(page, **from_there)).status == 303


async def test_a_login_is_an_address_only_where_the_operator_said_so(
    browser: Any, door: Any, provider: IdentityProvider
) -> None:
    provider.claims = vouched(door.login(door.person(password=None)))
    assert (await comes_back(browser, provider)).status == 403
    set_up(door, provider, logins=True)
    assert (await comes_back(browser, provider)).status == 303


async def test_an_address_that_nobody_proved_here_links_nobody(
    browser: Any, door: Any, provider: IdentityProvider
) -> None:
    """An administrator who mistypes gives no stranger an account."""
    anna = door.person(password=None)
    account = Account(door.tenant_id, anna.id)
    with door.house.operator.transaction(door.tenant_id) as connection:
        identities.set_email(connection, account, "mistyped@mail.example")
    set_up(door, provider, logins=True)
    provider.claims = vouched("mistyped@mail.example")
    assert (await comes_back(browser, provider)).status == 403
    assert door.events(anna) == []


async def test_an_address_that_is_the_login_of_somebody_else_links_nobody(
    browser: Any, door: Any, provider: IdentityProvider
) -> None:
    ada = door.person(Role.ADMINISTRATOR, password=None)
    door.person(password=None, email=door.login(ada))
    provider.claims = vouched(door.login(ada))
    for logins in (False, True):
        set_up(door, provider, logins=logins)
        assert (await comes_back(browser, provider)).status == 403


async def test_an_account_has_one_subject_until_the_operator_lets_it_be_linked_anew(
    browser: Any, browsers: Callable[[], Any], door: Any, provider: IdentityProvider
) -> None:
    """Who gets a mailbox after somebody left gets no account with it."""
    anna = door.person(password=None, email="first@mail.example")
    provider.claims = vouched("first@mail.example", sub="one")
    assert (await comes_back(browser, provider)).status == 303
    provider.claims = vouched("first@mail.example", sub="two")
    assert (await comes_back(browsers(), provider)).status == 403
    with (
        pytest.raises(Conflict, match="identities_tenant_id_issuer_user_id_key"),
        door.house.portal.transaction(door.tenant_id) as connection,
    ):
        identities.link(
            connection, Account(door.tenant_id, anna.id), provider.address, "three", now=door.clock.now()
        )
    with door.house.operator.transaction(door.tenant_id) as connection:
        assert identities.unlink(connection, Account(door.tenant_id, anna.id))
    assert (await comes_back(browsers(), provider)).status == 303


async def test_who_signs_in_again_is_asked_anew_by_their_provider(
    browser: Any, browsers: Callable[[], Any], door: Any, clock: Any, provider: IdentityProvider
) -> None:
    """A session at the provider is no proof that its person sits here now."""
    provider.claims = vouched(proved(door))
    await comes_back(browser, provider)
    form = {"password": "a new horse battery", "again": "a new horse battery"}
    await browser.get("/me/security")
    answer = await browser.post("/me/security/password", form)
    assert answer.headers["Location"] == "/sign-in?again=yes&next=/me/security"
    await browser.get("/sign-in?again=yes&next=/me/security")
    assert "/sign-in/organisation?again=yes&amp;next=/me/security" in browser.page
    asked = {"organisation": "bakery.example", "next": "/me/security", "again": "yes"}

    async def again(**claims: Any) -> Any:
        await browser.post("/sign-in/organisation", asked)
        found = REFRESH.search(browser.page)
        assert found is not None
        address = html.unescape(found[1])
        query = parse_qs(urlsplit(address).query)
        assert (query["prompt"], query["max_age"]) == (["login"], ["0"])
        provider.claims = {**provider.claims, "auth_time": None, **claims}
        back = provider.authorize(address)
        return await browser.client.get("/sign-in/callback", params=back, allow_redirects=False)

    now = int(clock.now().timestamp())
    for claims in ({}, {"auth_time": now - 3600}, {"auth_time": "now"}, {"auth_time": True}):
        assert (await again(**claims)).status == 403
    assert (await again(auth_time=now)).headers["Location"] == "/me/security"
    await browser.get("/me/security")
    answer = await browser.post("/me/security/password", form)
    assert answer.headers["Location"] == "/me/security"


@pytest.mark.parametrize(
    "claims",
    [
        {"email_verified": False},
        {"email_verified": "true"},
        {"email": "stranger@mail.example"},
        {"email": None},
        {"nonce": "another"},
        {"nonce": ""},
        {"aud": "somebody-else"},
        {"aud": ["earwitness", "somebody-else"]},
        {"iss": "https://evil.example"},
        {"exp": 0},
        {"iat": 0},
        {"sub": None},
    ],
)
async def test_a_token_amiss_lets_nobody_in(
    browser: Any, door: Any, provider: IdentityProvider, claims: dict[str, Any]
) -> None:
    email = f"{secrets.token_hex(6)}@mail.example"
    user = door.person(password=None, email=email)
    provider.claims = {**vouched(email), **claims}
    answer = await comes_back(browser, provider)
    assert answer.status == 403
    assert browser.cookie == ""
    assert door.events(user) == []


async def test_a_token_of_another_key_or_of_a_shared_secret_lets_nobody_in(
    browser: Any, door: Any, provider: IdentityProvider
) -> None:
    provider.claims = vouched(proved(door))
    provider.signing = RSAKey.generate_key(2048)
    assert (await comes_back(browser, provider)).status == 403
    provider.signing = provider.key
    assert (await comes_back(browser, provider)).status == 303


async def test_an_unsigned_token_lets_nobody_in(browser: Any, door: Any, provider: IdentityProvider) -> None:
    provider.claims = vouched(proved(door))
    for token in ("", "e30.e30.", "eyJhbGciOiJub25lIn0.e30.", "x" * 100):
        provider.tokens = {"id_token": token}
        assert (await comes_back(browser, provider)).status == 403


async def test_keys_of_elliptic_curves_count_too(browser: Any, door: Any, provider: IdentityProvider) -> None:
    provider.key = provider.signing = ECKey.generate_key("P-256", parameters={"kid": "one"})
    provider.algorithm = "ES256"
    provider.claims = vouched(proved(door))
    assert (await comes_back(browser, provider)).status == 303


@pytest.mark.parametrize(
    "changes", [{"state": "x"}, {"state": ""}, {"code": "x"}, {"iss": "https://evil.example"}]
)
async def test_an_answer_to_another_question_lets_nobody_in(
    browser: Any, door: Any, provider: IdentityProvider, changes: dict[str, str]
) -> None:
    provider.claims = vouched(proved(door))
    assert (await comes_back(browser, provider, **changes)).status == 403


async def test_an_answer_counts_only_in_the_browser_that_asked_in_time_and_once(
    browser: Any, browsers: Callable[[], Any], door: Any, clock: Any, provider: IdentityProvider
) -> None:
    provider.claims = vouched(proved(door))
    query = provider.authorize(await led(browser))
    stranger = browsers()
    answer = await stranger.client.get("/sign-in/callback", params=query, allow_redirects=False)
    assert answer.status == 403
    assert (await browser.client.get("/sign-in/callback", params=query, allow_redirects=False)).status == 303
    assert (await browser.client.get("/sign-in/callback", params=query, allow_redirects=False)).status == 403
    late = provider.authorize(await led(browser))
    clock.passes(10 * 60)
    assert (await browser.client.get("/sign-in/callback", params=late, allow_redirects=False)).status == 403


async def test_a_question_that_was_asked_before_an_upgrade_is_answered_after_it(
    browser: Any, door: Any, provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal = challenge.seal

    def sealed_before(root: Any, purpose: str, fields: dict[str, str], **named: Any) -> str:
        return seal(root, purpose, {name: fields[name] for name in fields if name != "since"}, **named)

    monkeypatch.setattr(challenge, "seal", sealed_before)
    provider.claims = vouched(proved(door))
    assert (await comes_back(browser, provider)).status == 303


async def test_the_provider_is_no_second_factor_unless_the_tenant_trusts_it_to_ask_one(
    browser: Any, browsers: Callable[[], Any], door: Any, provider: IdentityProvider
) -> None:
    email = f"{secrets.token_hex(6)}@mail.example"
    door.person(Role.ADMINISTRATOR, password=None, email=email)
    provider.claims = vouched(email, amr=["pwd", "mfa"])
    assert (await comes_back(browser, provider)).headers["Location"] == "/sign-in/set-up?next=/me"
    set_up(door, provider, trusts=True)
    assert (await comes_back(browsers(), provider)).headers["Location"] == "/me"
    provider.claims = vouched(email, amr=["pwd"])
    assert (await comes_back(browsers(), provider)).headers["Location"] == "/sign-in/set-up?next=/me"


async def test_a_subject_is_of_its_tenant_alone(browser: Any, door: Any, provider: IdentityProvider) -> None:
    from archive.catalogue import directory

    florist = door.house.stranger_id
    user = directory.add_user(door.house.operator, florist, f"f{secrets.token_hex(4)}", now=door.clock.now())
    with door.house.operator.transaction(florist) as connection:
        address = identities.set_email(connection, Account(florist, user.id), f"{user.login}@mail.example")
        identities.prove_email(connection, Account(florist, user.id), now=door.clock.now())
    provider.claims = vouched(address)
    assert (await comes_back(browser, provider)).status == 403


async def test_an_organisation_without_provider_is_told_so(browser: Any, provider: IdentityProvider) -> None:
    for typed in ("florist.example", "nowhere.example", "", "a\0b"):
        assert (await browser.post("/sign-in/organisation", {"organisation": typed})).status == 404


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "ftp://127.0.0.1/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": ""},
    ],
)
async def test_a_provider_whose_document_is_not_right_is_not_asked(
    browser: Any, provider: IdentityProvider, document: dict[str, str]
) -> None:
    provider.document = document
    answer = await browser.post("/sign-in/organisation", {"organisation": "bakery.example"})
    assert answer.status == 502


async def test_our_secret_there_stands_sealed(door: Any, provider: IdentityProvider) -> None:
    with door.house.portal.transaction(door.tenant_id) as connection:
        rows = connection.exec_driver_sql("SELECT sealed_secret FROM identity_providers").scalars().all()
    assert rows
    assert not any(SECRET.encode() in bytes(row) for row in rows)
    found = identity_providers.provider_of(door.house.portal, door.house.root, door.tenant_id)
    assert found is not None
    assert found.client_secret == SECRET
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    "issuer",
    ["http://login.bakery.example", "https://", "ftp://x", "https://a@b", "https://x?y", "", "x" * 501],
)
def test_an_issuer_is_an_https_address(issuer: str) -> None:
    with pytest.raises(Refused):
        identity_providers.checked_issuer(issuer)
