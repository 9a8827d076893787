"""Every spelling of an exempt number is one, no look-alike is, and numbers have one form."""

from __future__ import annotations

import itertools
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.numbers import (
    ADDRESS_CHARS_MAX,
    NUMBER_CHARS_MAX,
    UNESCAPE_ROUNDS_MAX,
    canonical,
    exempt_in,
    is_exempt_number,
)

SHORT = [
    prefix + number
    for prefix, number in itertools.product(
        (
            "",
            "0",
            "00",
            "+",
            "+31",
            "0031",
            "00031",
            "31",
            "+31(0)",
            "*31*",
            "#31#",
            "*31#",
            "*67",
            "*31*0",
            "0*31*",
        ),
        ("112", "113"),
    )
]
FREEPHONE = [
    prefix + number
    for prefix, number in itertools.product(
        ("0", "00", "+31", "0031", "31", "+31(0)", "*31*0", "#31#0"), ("8000113", "9000113")
    )
]
WRAPPERS = (
    "{}",
    "sip:{}@sbc.example.net",
    "SIPS:{}@192.0.2.1:5061;user=phone",
    "tel:{}",
    '"Anna" <sip:{};phone-context=+31@example.net;user=phone>;tag=113x',
    " {} ",
)
SPELLINGS = [wrapper.format(number) for wrapper in WRAPPERS for number in SHORT + FREEPHONE]

ODD_SPELLINGS = [
    "1 1 2",
    "1-1-3",
    "1.1.2",
    "(11)3",
    "0800-0113",
    "0800 0113",
    "0800.01.13",
    "(0800) 0113",
    "+31 800 0113",
    "+31 (0)800-0113",
    "0900/0113",
    "112#",
    "112F",
    "0,112",
    "9,112",
    "0w113",
    "112,,5",
    "*21*112#",
    "sip:%31%31%32@example.net",
    "sip:%2531%2531%2533@example.net",
    "tel:%2B31112",
    "sip:112%40carrier.example@sbc.example.net",
    "sip:112:secret@example.net",
    "sip:112;isub=1;phone-context=example.net@example.net",
    "sip:112",
    "sip://113@example.net",
    "tel:113;ext=5",
    "tel:8000113;phone-context=+31",
    "tel:112;phone-context=+32",
    "<tel:112>",
    "<sip:112@example.net",
    "sip:201@example.net, sip:112@example.net",
    "<sip:201@example.net>;index=1, <sip:113@example.net>;index=1.1",
    '"112" <sip:anonymous@anonymous.invalid>',
    "&#49;&#x31;2",
    "&amp;#49;12",
    "&lt;sip:112@example.net&gt;;tag=1",
    "\uff11\uff11\uff12",
    "\uff0b\uff13\uff11\uff11\uff11\uff13",
    "\u0661\u0661\u0662",
    "\u0967\u0967\u0969",
    "\U0001d7cf\U0001d7cf\U0001d7d0",
    "\u00b9\u00b9\u00b3",
    "1\u200b1\u200d2",
    "\u202e112\u202c",
    "1\u00ad12",
    "0800\u20110113",
    "0800\u22120113",
    "0800\u00a00113",
    "urn:service:sos",
    "URN:Service:SOS",
    "<urn:service:sos.police>",
    "urn:service:sos.ecall.manual",
    "urn%3Aservice%3Asos.fire",
    "urn:service:counseling",
    "urn:service:counseling.suicide;x=1",
    "urn:service:counseling.children",
]

LOOK_ALIKES = [
    "",
    "1",
    "11",
    "12",
    "13",
    "1112",
    "1120",
    "1113",
    "1122",
    "11234",
    "1123456",
    "2112",
    "9112",
    "8113",
    "112112",
    "113113",
    "0113-123456",
    "0113123456",
    "+31113123456",
    "0031113123456",
    "+31112345678",
    "0201120000",
    "0201130113",
    "+31201120000",
    "+31612112113",
    "+3211212345",
    "0800-01130",
    "0800-1130",
    "0800-8112",
    "+318001130",
    "08001120",
    "0900-1120",
    "8000113",
    "9000113",
    "0318000113",
    "+49112",
    "+44113",
    "1-12-3",
    "*21*0201234112#",
    "*112*",
    "112abc",
    "a112",
    "kamer112",
    "Kamer 112",
    "112 Autoschade BV",
    "113-desk",
    "201;112",
    "201,112",
    "201;ext=112",
    "tel:201;ext=112",
    "tel:201;phone-context=+31113",
    "sip:201@112",
    "sip:201@112.113.112.113:5112",
    "sip:201@113.example.net;user=phone",
    "sip:112.113.112.113",
    "sip:0.1.1.2",
    "sip:srs@192.0.2.1:112",
    "sip:192.0.2.112:5060",
    "sip:112.example.net",
    '"Jan" <sip:201@example.net>;tag=112',
    '"Jan 112" <sip:201@example.net>',
    '"Jan, 113" <sip:0201120000@example.net;user=phone>;tag=113;index=112',
    "<sip:201@example.net?Replaces=112>",
    "<sip:201@example.net>;cause=112",
    "urn:service:sosmos",
    "urn:service:sos-like",
    "urn:service:food.112",
    "urn:service:counselling",
    "urn:ietf:params:xml:ns:recording:1",
    "urn:uuid:00000112-0000-0000-0000-000000000113",
    "anonymous",
    "sip:anonymous@anonymous.invalid",
    "callhalf-112:0",
    "Unavailable",
    "11\u00bd",
    "%31%31",
    "&#49;&#50;",
    "112%",
]
LOOK_ALIKE_NUMBERS = [
    base + digit
    for base, digit in itertools.product(("112", "113", "0112", "0113", "+31112", "08000113"), "0123456789")
] + [digit + number for digit, number in itertools.product("123456789", ("112", "113", "08000113"))]


def test_there_are_some_two_hundred_spellings_and_as_many_look_alikes() -> None:
    """The size of both lists is part of the promise."""
    assert len(set(SPELLINGS + ODD_SPELLINGS)) >= 200
    assert len(set(every_look_alike())) >= 200


def every_look_alike() -> list[str]:
    numbers = [wrapper.format(number) for number in LOOK_ALIKE_NUMBERS for wrapper in WRAPPERS[:3]]
    return LOOK_ALIKES + numbers


@pytest.mark.parametrize("text", SPELLINGS + ODD_SPELLINGS)
def test_every_spelling_of_an_exempt_number_matches(text: str) -> None:
    """A missed spelling would record somebody in distress."""
    assert is_exempt_number(text)


@pytest.mark.parametrize("text", every_look_alike())
def test_no_look_alike_matches(text: str) -> None:
    """A look-alike that matched would lose an ordinary call."""
    assert not is_exempt_number(text)


def test_one_exempt_number_among_many_is_enough() -> None:
    """All texts are looked at, whatever their order."""
    assert exempt_in(["0201120000", "sip:201@example.net", "+31113"])
    assert not exempt_in(["0201120000", "sip:201@example.net", "+31113123456"])
    assert not exempt_in([])


def test_escapes_are_undone_to_their_bound_and_no_further() -> None:
    """Three rounds are undone; a fourth one is nobody's gateway and must end anyway."""

    def escaped(rounds: int) -> str:
        text = "112"
        for _ in range(rounds):
            text = "".join(f"%{ord(character):02X}" for character in text)
        return f"sip:{text}@example.net"

    assert is_exempt_number(escaped(UNESCAPE_ROUNDS_MAX))
    assert not is_exempt_number(escaped(UNESCAPE_ROUNDS_MAX + 1))


def test_a_text_is_read_to_its_limit_and_no_further() -> None:
    """At the limit the number is seen; above it the text is cut."""
    assert is_exempt_number("112".rjust(ADDRESS_CHARS_MAX))
    assert not is_exempt_number("112".rjust(ADDRESS_CHARS_MAX + 1))


def test_a_number_is_as_long_as_its_limit_allows() -> None:
    """Codes before a number repeat only until the number is too long to be one."""
    codes = "*31*" * ((NUMBER_CHARS_MAX - 4) // 4)
    assert is_exempt_number(codes.rjust(NUMBER_CHARS_MAX - 4, "0")[: NUMBER_CHARS_MAX - 4] + "0112")
    assert not is_exempt_number("*31*" * (NUMBER_CHARS_MAX // 4) + "112")
    assert canonical("0" + "1" * (NUMBER_CHARS_MAX * 2)) == "0" + "1" * (NUMBER_CHARS_MAX * 2)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(["112", "113", "0112", "+31113", "08000113", "+319000113"]),
    st.lists(st.sampled_from(list(" -.()/\u2013\u00a0\u200b")), min_size=12, max_size=12),
    st.sampled_from(["", "sip:", "tel:", "SIPS:"]),
)
def test_separators_between_any_digits_change_nothing(number: str, marks: list[str], scheme: str) -> None:
    """People and gateways put marks anywhere."""
    text = "".join(digit + mark for digit, mark in zip(number, marks, strict=False))
    assert is_exempt_number(f"{scheme}{text}")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_no_text_whatever_raises(text: str) -> None:
    """Headers hold anything."""
    is_exempt_number(text)
    canonical(text)


@settings(max_examples=100, deadline=None)
@given(st.text(string.digits, min_size=4, max_size=15))
def test_only_whole_numbers_match(digits: str) -> None:
    """Of all strings of four digits and more, few are exempt: a prefix and a floor number."""
    exempt = {"112", "113", "8000113", "9000113"}
    if is_exempt_number(digits):
        assert any(
            digits.endswith(number) and set(digits.removesuffix(number)) <= set("031") for number in exempt
        )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+31201234567", "+31201234567"),
        ("0201234567", "+31201234567"),
        ("020-123 45 67", "+31201234567"),
        ("0031201234567", "+31201234567"),
        ("31201234567", "+31201234567"),
        ("+31(0)20 1234567", "+31201234567"),
        ("sip:+31201234567@example.net;user=phone", "+31201234567"),
        ('"Jan" <sip:0201234567@example.net>;tag=1', "+31201234567"),
        ("tel:201234567;phone-context=+31", "+31201234567"),
        ("*31*0201234567", "+31201234567"),
        ("\uff10201234567", "+31201234567"),
        ("0113-123456", "+31113123456"),
        ("+49 30 1234567", "+49301234567"),
        ("004930123456", "+4930123456"),
        ("201", "201"),
        ("sip:201@tenant.example", "201"),
        ("112", "112"),
        ("sip:Alice@Example.NET;x=1", "alice@example.net"),
        ("anonymous", "anonymous"),
        ("", ""),
        ("<>", ""),
    ],
)
def test_every_spelling_has_one_canonical_form(text: str, expected: str) -> None:
    """A user is found by their number, however the exchange wrote it."""
    assert canonical(text) == expected


def test_national_numbers_belong_to_the_country_asked_for() -> None:
    """A Belgian tenant's 02 is Brussels."""
    assert canonical("02 555 12 12", country="BE") == "+3225551212"


@settings(max_examples=50, deadline=None)
@given(st.text(string.digits + "+-() ", max_size=20))
def test_the_canonical_form_is_stable(text: str) -> None:
    """What is canonical stays as it is, for numbers that are public."""
    once = canonical(text)
    if once.startswith("+"):
        assert canonical(once) == once
