"""Numbers that are somebody's: payment cards and bank accounts, told from other long numbers by their check digits."""

from __future__ import annotations

import re
from typing import Final

CARD: Final = "[redacted:card]"
IBAN: Final = "[redacted:iban]"
NUMBER_GROUPS: Final = re.compile(r"\d++(?:[ .\u00a0-]\d++)*+", re.ASCII)
"""Digits in groups with one separator between two."""

_LONGEST: Final = 19
_GROUP: Final = range(3, 7)
"""Digits of one group of a card that is written in groups."""
# Issuers' ranges and lengths, from their published tables: Visa, Mastercard, American Express, Diners Club, Discover, JCB,
# UnionPay, Maestro.
_ISSUED: Final = re.compile(
    r"4\d{12}(?:\d{3}){0,2}"
    r"|5[1-5]\d{14}|222[1-9]\d{12}|22[3-9]\d{13}|2[3-6]\d{14}|27[01]\d{13}|2720\d{12}"
    r"|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}"
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12,15}|35(?:2[89]|[3-8]\d)\d{12,15}|62\d{14,17}"
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{9,15}"
)
_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_IBAN_REMAINDER: Final = 97


def is_card(digits: str) -> bool:
    """Whether these digits are the number of a payment card: an issuer's range, and Luhn's check digit."""
    if len(digits) > _LONGEST or not _ISSUED.fullmatch(digits):
        return False
    numbers = [int(digit) for digit in digits]
    return (sum(numbers[-1::-2]) + sum(_DOUBLED[number] for number in numbers[-2::-2])) % 10 == 0


def without_cards(match: re.Match[str]) -> str:
    """The digit groups of a match of `NUMBER_GROUPS`, cards among them masked."""
    text = match[0]
    if len(text) < 13:  # noqa: PLR2004  (the shortest card)
        return text
    groups = [found.span() for found in re.finditer(r"\d+", text, re.ASCII)]
    kept, done, first = [], 0, 0
    while first < len(groups):
        last = _last_group(text, groups, first)
        if last is None:
            first += 1
            continue
        kept += [text[done : groups[first][0]], CARD]
        done = groups[last][1]
        first = last + 1
    return "".join([*kept, text[done:]]) if kept else text


def _last_group(text: str, groups: list[tuple[int, int]], first: int) -> int | None:
    """The group with which a card that begins in group `first` ends; a decimal number is none."""
    start, end = groups[first]
    if end - start not in _GROUP:
        decimal = "." in (text[start - 1 : start], text[end : end + 1])
        return None if decimal or not is_card(text[start:end]) else first
    digits, found = "", None
    for position in range(first, min(first + 6, len(groups))):
        begin, end = groups[position]
        if end - begin not in _GROUP:
            break
        digits += text[begin:end]
        if position > first and is_card(digits):
            found = position
    return found


def without_iban(match: re.Match[str]) -> str:
    """A mask if the match is an IBAN by its check digits, else the match."""
    text = match[0]
    letters = text.replace(" ", "")
    moved = letters[4:] + letters[:4]
    number = int("".join(str(int(character, 36)) for character in moved))
    return IBAN if number % _IBAN_REMAINDER == 1 else text
