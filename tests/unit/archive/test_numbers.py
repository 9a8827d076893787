"""Every spelling of an exempt number is one, no look-alike is, and numbers have one form."""

from __future__ import annotations

import itertools
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.numbers import (
    ADDITION_SETS_COUNT_MAX,
    ADDRESS_CHARS_MAX,
    FLOOR,
    NUMBER_CHARS_MAX,
    SHORT_DIGITS_MAX,
    UNESCAPE_ROUNDS_MAX,
    canonical,
    exempt_in,
    is_exempt_number,
    may_name_added,
)
from tests import exempt_spellings

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


@pytest.mark.parametrize("text", SPELLINGS + ODD_SPELLINGS + exempt_spellings.spellings())
def test_every_spelling_of_an_exempt_number_matches(text: str) -> None:
    """A missed spelling would record somebody in distress."""
    assert is_exempt_number(text)


@pytest.mark.parametrize("text", every_look_alike() + exempt_spellings.look_alikes())
def test_no_look_alike_matches(text: str) -> None:
    """A look-alike that matched would lose an ordinary call."""
    assert not is_exempt_number(text)


def test_one_exempt_number_among_many_is_enough() -> None:
    """All texts are looked at, whatever their order."""
    assert exempt_in(["0201120000", "sip:201@example.net", "+31113"])
    assert not exempt_in(["0201120000", "sip:201@example.net", "+31113123456"])
    assert not exempt_in([])


@pytest.mark.parametrize("number", FLOOR)
def test_the_floor_list_is_in_canonical_form(number: str) -> None:
    """So that whoever adds or removes a number can see that it is on it."""
    assert canonical(number) == number
    assert is_exempt_number(number)


ADDITIONS = frozenset({"116117", "144", "+318000432", "+31201234567", "+4930123456", "+39061234567"})
ADDED_SPELLINGS = [
    "116117",
    "116 117",
    "0116117",
    "0,116117",
    "*31*116117",
    "+31116117",
    "0031-116117",
    "116117#",
    "1%316117",
    "\uff11\uff11\uff16\uff11\uff11\uff17",
    "144",
    "sip:144@h;user=phone",
    "0800-0432",
    "+31 800 0432",
    "0031 (0)800 0432",
    "0-0800-0432",
    "+8000432",
    "020-1234567",
    "+31(0)20 1234567",
    "31201234567",
    "0031201234567",
    "0-020-1234567",
    "+0201234567",
    "*31*0201234567",
    "<sip:+31201234567@h;user=phone>;tag=1",
    "tel:201234567;phone-context=+31",
    "tel:1234567;phone-context=+3120",
    "+49 30 123456",
    "0049 (0)30 123456",
    "0-0049-30-123456",
    "4930123456",
    "tel:30123456;phone-context=+49",
    "+39 06 1234567",
    "&#49;&#52;&#52;",
]
ADDED_LOOK_ALIKES = [
    "1161170",
    "116-1170",
    "116118",
    "0144-123456",
    "1444",
    "0800-04321",
    "8000432",
    "020-12345678",
    "+201234567",
    "1234567",
    "201234567",
    "030-123456",
    "+4930123456-7",
    "+48 30 123456",
    "+39 61234567",
    "sip:201@116117",
    "sip:201@h;x=144",
    "tel:201;ext=144",
    "116117 Apotheek",
]


@pytest.mark.parametrize("text", ADDED_SPELLINGS)
def test_what_was_added_matches_in_every_spelling(text: str) -> None:
    """As the floor list does; without being added it is an ordinary number."""
    assert is_exempt_number(text, ADDITIONS)
    assert not is_exempt_number(text)
    assert may_name_added(text, ADDITIONS) or "%" in text or "&" in text


@pytest.mark.parametrize("text", ADDED_LOOK_ALIKES + every_look_alike())
def test_look_alikes_of_additions_do_not_match(text: str) -> None:
    """Only whole numbers do."""
    assert not is_exempt_number(text, ADDITIONS)


@pytest.mark.parametrize("text", SPELLINGS[::7] + ODD_SPELLINGS)
def test_additions_never_shorten_the_floor_list(text: str) -> None:
    """They are added and nothing else."""
    assert is_exempt_number(text, ADDITIONS)
    assert is_exempt_number(text, frozenset({""}))
    assert exempt_in(["201", text], ADDITIONS)


@settings(max_examples=60, deadline=None)
@given(st.frozensets(st.text(max_size=12), max_size=4), st.text(max_size=40))
def test_no_addition_whatever_raises_or_makes_everything_exempt(additions: frozenset[str], text: str) -> None:
    """What is no number is passed over, not taken for a pattern."""
    is_exempt_number(text, additions)
    numbers = {item for item in additions if item.lstrip("+").isdigit()}
    assert numbers or not is_exempt_number("201", additions)
    assert not is_exempt_number("0201234567", frozenset({".*", "[0-9]+", "alice@example.net", "+"}))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["0201234567", "+31612345678", "116117", "0800-0432", "+4930123456", "088 123 45 67"]),
    st.lists(st.sampled_from(list(" -.()/\u2013\u00a0\u200b")), min_size=14, max_size=14),
    st.sampled_from(["", "sip:", "tel:", "*31*"]),
)
def test_whatever_is_added_is_found_however_it_is_written(number: str, marks: list[str], scheme: str) -> None:
    """The form in the list is the canonical one, the form on the wire any other."""
    text = "".join(character + mark for character, mark in zip(number, marks, strict=False))
    assert is_exempt_number(f"{scheme}{text}", frozenset({canonical(number)}))


def test_a_short_number_is_dialled_as_it_is_and_a_longer_one_has_an_area_code() -> None:
    """Six digits with +31 before them are a short number somebody wrote so; seven are not."""
    short, longer = "1" * SHORT_DIGITS_MAX, "1" * (SHORT_DIGITS_MAX + 1)
    assert is_exempt_number(short, frozenset({f"+31{short}"}))
    assert not is_exempt_number(longer, frozenset({f"+31{longer}"}))
    assert is_exempt_number(f"0{longer}", frozenset({f"+31{longer}"}))


def test_more_tenants_with_lists_of_their_own_than_are_remembered_are_served() -> None:
    """What is forgotten is made anew."""
    for number in range(ADDITION_SETS_COUNT_MAX + 2):
        assert is_exempt_number("0144", frozenset({"144", f"+3120{number:07}"}))
    assert is_exempt_number("020 0000000", frozenset({"144", "+31200000000"}))


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
