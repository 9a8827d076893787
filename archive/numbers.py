"""Telephone numbers: one form to compare them by, and the numbers that are never recorded.

`canonical` brings every spelling of a number to E.164, so that a user is found by
it. `is_exempt_number` knows the floor list: 112, 113, 0800-0113, 0900-0113 and the
service URNs of RFC 5031 for emergency and counselling. The list stands in the code
and takes no setting, because no administrator may shorten it; what operators and
tenants add to it comes in as an argument and is matched in the same spellings.

Rules: no I/O. An exempt number matches as a whole or not at all: `0113-123456` is a
number in Goes. Where a spelling can be read in two ways, the reading that records
nothing wins. Nothing of a call is cached, so that no number outlives it in memory;
patterns of additions are, since those are settings.

Not here: in which headers and elements a number may stand (`recorder.srs.exemption`).
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

import phonenumbers

ADDRESS_CHARS_MAX = 8192
"""Longer texts are cut here: a SIP header line is refused at this length, so no peer needs more."""

NUMBER_CHARS_MAX = 64
"""E.164 has 15 digits (ITU-T E.164 section 6); prefixes, codes and separators never reach this."""

UNESCAPE_ROUNDS_MAX = 3
"""Gateways escape an address once, some twice; a third round costs nothing and a bound is needed."""

FLOOR = ("112", "113", "+318000113", "+319000113")
"""What is never recorded, in canonical form; 0900-0113 is the old number of 0800-0113."""

FLOOR_SERVICES = ("urn:service:sos", "urn:service:counseling")
"""The service URNs of RFC 5031 that stand on the floor list with all their sub-services."""

NO_ADDITIONS: frozenset[str] = frozenset()

ADDITION_SETS_COUNT_MAX = 1024
"""Patterns kept: one for each tenant with a list of its own; one more costs a millisecond a call."""

SHORT_DIGITS_MAX = 6
"""Up to here a number has no area code: 112, 1850, 116117, an extension."""

NATIONAL_DIGITS = 9
"""A Dutch number with its area code, without the 0; service numbers such as 0800-0113 are shorter."""

# The words of a number in RFC 3966 section 3, and the other marks people and gateways put between digits.
# A backslash escapes the character behind it in a display name (RFC 3261 section 25.1).
_SEPARATORS = frozenset(" \t\r\n-.()[]/_'\"|~>\\")

# A user may wait for the outside line before the number, or send digits after it.
_PAUSE = re.compile(r"[,pw]+", re.IGNORECASE)

_SCHEME = re.compile(r"\s*([a-z][a-z0-9+.-]*):(?://)?", re.IGNORECASE)
_BRACKETED = re.compile(r"([^<>]*)<([^<>]*)")
_QUOTED_LAST = re.compile(r"\"([^\"]*)\"\s*$")
_NEXT_ADDRESS = re.compile(r",(?=\s*(?:sips?|tel|urn):)", re.IGNORECASE)
_PHONE_CONTEXT = re.compile(r";\s*phone-context\s*=\s*(\+[^;>@?\s]*)", re.IGNORECASE)
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")

_SERVICE_URN = re.compile(
    # Where a client can't put a URN, it stands in the user part of a SIP URI.
    r"(?:(?<![\w:.-])|(?<=sip:)|(?<=sips:))urn:service:(?:sos|counseling)(?:\.[\w.-]*)?(?![\w-])",
    re.IGNORECASE,
)

# What may be dialled before a number: an outside line, then service codes such as *31*, #31# or *67.
_CODES = r"0?(?:[*#]{1,2}\d{1,4}[*#]|[*#]{1,2}\d{2,3})+|"
# The ways to say "the Netherlands": +31, 0031, 31, each perhaps behind an outside line, or with "(0)".
# A gateway that puts a plus before everything makes +0031 and ++31 of them.
_ABROAD = r"(?:0?\++(?:00)?|0?00|)"
_COUNTRY = rf"{_ABROAD}310?"
# ISUP gateways leave the end-of-pulsing digit F behind, telephones the # that ends dialling.
_ENDING = r"[#*F]*"
_DIALLED = re.compile(rf"(?:{_CODES})(\+?\d+){_ENDING}", re.IGNORECASE)
_NOT_DIGITS = bytes(octet for octet in range(256) if chr(octet) not in "0123456789")


@dataclass(frozen=True)
class _Numbers:
    """A list of numbers: what spells one of them as a whole, and digits without which none is there."""

    pattern: re.Pattern[str]
    digits: tuple[str, ...]
    digits_min: int


def is_exempt_number(text: str, additions: frozenset[str] = NO_ADDITIONS) -> bool:
    """Tell whether `text` is an address on the floor list, or one of `additions`.

    `text` may be a number in any spelling, an address of record, a SIP or tel URI, a
    service URN, or a header value with a display name and parameters. `additions` are
    canonical numbers; what is none is passed over. Never raises.
    """
    text = text[:ADDRESS_CHARS_MAX]
    if not (_may_be_exempt(text) or (additions and may_name_added(text, additions))):
        return False
    plain = _plain(text)
    if _SERVICE_URN.search(plain):
        return True
    lists = (_FLOOR, _added(additions)) if additions else (_FLOOR,)
    return any(_is_exempt_user(user, lists) for address in _addresses(plain) for user in _users(address))


def exempt_in(texts: Iterable[str], additions: frozenset[str] = NO_ADDITIONS) -> bool:
    """Tell whether any of `texts` is an address on the floor list, or one of `additions`."""
    return any(is_exempt_number(text, additions) for text in texts)


def may_name_added(text: str, additions: frozenset[str]) -> bool:
    """Tell whether a text, of any length, may name one of `additions`: False dismisses it quickly.

    Like the dismissal of the floor list it says nothing about escapes: `text` has none
    left, or is looked at anyhow.
    """
    if not text.isascii() or "phone-context" in text.lower():
        return True
    digits, added = _digits_of(text), _added(additions)
    return len(digits) >= added.digits_min and any(number in digits for number in added.digits)


def canonical(text: str, country: str = "NL") -> str:
    """Return the one form of an address by which it is compared.

    That is E.164 (`+31201234567`) for a public number, as dialled in `country` or
    internationally; the bare digits for anything shorter or unknown, as an extension;
    else the address of record in lower case without scheme and parameters. An empty
    text stays empty. Never raises.
    """
    plain = _plain(text[:ADDRESS_CHARS_MAX])
    for address in _addresses(plain, display_names=False):
        users = list(_users(address))
        dialled = _DIALLED.fullmatch(_PAUSE.split(_joined(users[0]))[0]) if users else None
        if dialled:
            return _e164(dialled[1], users, country)
        return _aor(address)
    return ""


def _e164(digits: str, users: list[str], country: str) -> str:
    """Return `digits` in E.164, or as they are when they are no public number.

    `users` has a second form where a phone-context completes the first one.
    """
    if len(digits) > NUMBER_CHARS_MAX:
        return digits
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    prefixed = digits.startswith(("+", "0"))
    for candidate in (digits, *(_joined(user) for user in users[1:])):
        try:
            number = phonenumbers.parse(candidate, country)
        except phonenumbers.NumberParseException:
            continue
        possible = phonenumbers.is_possible_number(number) and (prefixed or candidate != digits)
        # "31201234567" lacks its plus: believed only when it is a valid number of the country it names.
        if possible or (_names_country(candidate, number) and phonenumbers.is_valid_number(number)):
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return digits


def _names_country(candidate: str, number: phonenumbers.PhoneNumber) -> bool:
    """Tell whether the digits begin with the country code that was understood."""
    return candidate == f"{number.country_code}{number.national_number}"


def _aor(address: str) -> str:
    """Return `user@host` of an address that is no number, in lower case."""
    address = address.strip(" \t\r\n\"'")
    scheme = _SCHEME.match(address)
    if scheme:
        address = address[scheme.end() :]
    return re.split(r"[;?]", address, maxsplit=1)[0].strip().lower()


def _may_be_exempt(text: str) -> bool:
    """Dismiss quickly what can be none of the floor list, so that long bodies cost little.

    Only a text of plain characters is dismissed: any escape or foreign digit gets the
    long look.
    """
    if not text.isascii() or "%" in text or "&" in text:
        return True
    digits = _digits_of(text)
    return "112" in digits or "113" in digits or "urn" in text.lower()


def _digits_of(text: str) -> str:
    """Return the digits of a text of ASCII, whatever stands between them."""
    return text.encode("ascii").translate(None, _NOT_DIGITS).decode("ascii")


def _numbers(canonical_forms: Iterable[str]) -> _Numbers:
    """Return the list of numbers given in canonical form; what is no number is passed over."""
    spelled, digits = [], []
    for number in sorted(canonical_forms):
        if re.fullmatch(r"\+?[0-9]+", number):
            spelling, needed = _spellings(number)
            spelled.append(spelling)
            digits.append(needed)
    # Of an empty list nothing is a member.
    any_of = "|".join(spelled) or r"(?!)"
    pattern = re.compile(rf"(?:{_CODES})(?:{any_of}){_ENDING}", re.IGNORECASE)
    return _Numbers(pattern, tuple(digits), min(map(len, digits), default=0))


def _spellings(number: str) -> tuple[str, str]:
    """Return a pattern of every way to dial or write a canonical number, and the digits all of them have."""
    digits = number.removeprefix("+")
    national = digits[2:] if number.startswith("+31") else ""
    if 0 < len(national) <= SHORT_DIGITS_MAX:
        # Somebody entered 0116117 or +31116117 and meant 116117.
        number = digits = national
    if number == digits or len(digits) <= SHORT_DIGITS_MAX:
        return rf"(?:{_COUNTRY}|0?\+0?|0{{0,3}}){digits}", digits
    if national:
        # A number with an area code behind a mere plus is abroad: +20 is Egypt, 020 Amsterdam.
        plus = r"\+0?" if len(national) < NATIONAL_DIGITS else r"\+0"
        # Without any prefix 8000113 is somebody in Amsterdam, dialled from there: a prefix must stand here.
        return rf"(?:{_COUNTRY}|0?{plus}|0{{1,3}}){national}", national
    country = _country_code(number)
    abroad = digits.removeprefix(country)
    return rf"{_ABROAD}{country}0?{abroad}", abroad


def _country_code(number: str) -> str:
    """Return the country code of a number in E.164, or nothing when there is no such country."""
    try:
        return str(phonenumbers.parse(number).country_code)
    except phonenumbers.NumberParseException:
        return ""


@lru_cache(maxsize=ADDITION_SETS_COUNT_MAX)
def _added(additions: frozenset[str]) -> _Numbers:
    return _numbers(additions)


_FLOOR = _numbers(FLOOR)


def _plain(text: str) -> str:
    """Undo escapes and bring every digit of every script to ASCII, without invisible characters."""
    for _ in range(UNESCAPE_ROUNDS_MAX):
        unescaped = unquote(html.unescape(text))
        if unescaped == text:
            break
        text = unescaped
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_ascii_character, unicodedata.normalize("NFKC", text)))


def _ascii_character(character: str) -> str:
    """Return a digit as ASCII, foreign marks as `-`, spaces as a space, nothing for what can't be seen."""
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    category = unicodedata.category(character)
    # The slash within a fraction is kept: one and a half is not 112.
    if category[0] in "PS" and not character.isascii() and character != "\N{FRACTION SLASH}":
        return "-"
    if category.startswith("Z"):
        return " "
    return "" if category in {"Cc", "Cf", "Mn", "Me"} else character


def _addresses(text: str, *, display_names: bool = True) -> Iterator[str]:
    """Yield the addresses in a text: what stands in angle brackets, or all of it.

    Display names are yielded too, since exchanges put the dialled number there.
    """
    if "<" not in text:
        yield from _NEXT_ADDRESS.split(text)
        return
    for before, address in _BRACKETED.findall(text):
        yield address
        if display_names:
            quoted = _QUOTED_LAST.search(before)
            yield quoted[1] if quoted else before.rpartition(",")[2]


def _users(address: str) -> Iterator[str]:
    """Yield the user part of an address, and once more with its phone-context in front."""
    address = address.strip(" \t\r\n\"'")
    scheme = ""
    while found := _SCHEME.match(address):
        scheme = found[1].lower()
        address = address[found.end() :]
    user, at, _ = address.partition("@")
    user = re.split(r"[;?:]", user, maxsplit=1)[0]
    if not at and scheme in {"sip", "sips"} and _IPV4.fullmatch(user):
        # The host of a URI without a user: four octets are no digits of a number.
        return
    yield user
    context = _PHONE_CONTEXT.search(address)
    if context and "+" not in user:
        yield context[1] + user


def _joined(user: str) -> str:
    """Return a user part without what people put between digits."""
    return "".join(character for character in user if character not in _SEPARATORS)


def _is_exempt_user(user: str, lists: Iterable[_Numbers]) -> bool:
    """Tell whether a user part, once joined, is a number of one of the lists."""
    joined = _joined(user)
    if len(joined) > NUMBER_CHARS_MAX:
        return False
    parts = _PAUSE.split(joined)
    # 112,5 sends a digit after 112; 9,112 asks for a line first.
    candidates = ["".join(parts), parts[0]]
    if len(parts[0]) == 1:
        candidates += ["".join(parts[1:]), *parts[1:2]]
    return any(numbers.pattern.fullmatch(candidate) for numbers in lists for candidate in candidates)
