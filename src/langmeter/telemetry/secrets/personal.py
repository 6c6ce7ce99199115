"""Numbers that reach a person or an account: telephone numbers, payment cards, bank accounts.

The aim is to mask those and to leave order numbers, time stamps, versions and measurements alone: cards and accounts have
check digits, telephone numbers need a plus sign, their separators or a word before them.
"""

from __future__ import annotations

import re

from langmeter.telemetry.secrets.masking import Replacement, Rule, always, mask
from langmeter.telemetry.secrets.numbers import NUMBER_GROUPS, without_cards, without_iban

# Written with separators: North America; France; Germany, Britain and others with a leading zero; with 00 for the country;
# Japan, but not a date; India.
_NATIONAL = (
    r"(?:1[ .-])?(?:\([2-9]\d{2}\)[ .-]?|[2-9]\d{2}[.-])[2-9]\d{2}[ .-]\d{4}",
    r"\(?0[1-9](?:[ .-]\d{2}){4}",
    r"\(?0[1-9]\d{1,4}\)?[ /-]\d{3,4}[ -]?\d{3,4}(?:[ -]?\d{1,4})?",
    r"00[1-9]\d{0,2}[ -]\d{1,4}(?:[ -]?\d{2,4}){1,4}",
    r"0\d{1,3}-(?!\d\d-(?:19|20))\d{2,4}-\d{4}",
    r"[6-9]\d{4}[ -]\d{5}",
)


def number_rules() -> tuple[Rule, ...]:
    """Every rule for texts that hold a long number, in the order in which they are applied."""
    phone = mask("phone")
    return (
        _rule(
            (), r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])", without_iban
        ),
        Rule((), NUMBER_GROUPS, without_cards),
        # A plus sign and 8 to 15 digits; a signed decimal number is none.
        _rule(
            ("+",),
            r"\+(?<![\w+.]\+)(?!\d{1,4}\.\d++(?!\.\d))[1-9](?:[ .()\u00a0-]{0,2}\d){7,14}(?!\.?\d)",
            always(phone),
        ),
        _rule((), rf"(?<![\w.+/=-])(?:{'|'.join(_NATIONAL)})(?![\w/-]|\.\d)", always(phone)),
        Rule(
            ("tel", "phone", "mobile", "whatsapp", "fax", "sms", "call me", "call us", "call at"),
            re.compile(
                r"(?P<word>(?:tel|phone|mobile|whatsapp|fax|sms|call)(?:[ ]number|[ ]no\.?)?[\"']?"
                r"(?:[ ](?:is|me|us))?(?:[ ](?:at|on))?[.:=]{0,2}[ ]{0,3}[\"']?)"
                r"\(?\d(?:[ .()/-]{0,2}\d){6,14}(?![\w/-]|\.\d)",
                re.IGNORECASE | re.ASCII,
            ),
            lambda match: match["word"] + phone,
        ),
    )


def _rule(starts: tuple[str, ...], pattern: str, replacement: Replacement) -> Rule:
    return Rule(starts, re.compile(pattern, re.ASCII), replacement)
