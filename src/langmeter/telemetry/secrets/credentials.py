"""Keys, tokens, passwords: by the marks that providers give them, and by the names that stand before them."""

from __future__ import annotations

import re
from typing import Final

from langmeter.telemetry.secrets.masking import Replacement, Rule, always, mask

# The marks of keys: Stripe; GitHub and GitLab; Slack; model providers; others.
_MARKS: Final = (
    *("sk_live_", "sk_test_", "rk_live_", "rk_test_", "pk_live_", "pk_test_", "whsec_"),
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-"),
    *("xoxa-", "xoxb-", "xoxe-", "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xapp-", "hooks.slack.com/services/"),
    *("hf_", "gsk_", "r8_", "xai-", "pplx-", "nvapi-", "csk-", "fw_", "tvly-", "lsv2_", "pcsk_"),
    *("npm_", "pypi-", "dapi", "dop_v1_", "shpat_", "lin_api_", "hvs.", "glsa_", "ya29.", "SG.", "AIza"),
)
_NAMES: Final = (
    *("password", "passwd", "passphrase", "passcode", "pwd", "secret", "secret_key", "secret-key", "secretkey"),
    *(
        "secret_access_key",
        "secretaccesskey",
        "client_secret",
        "client-secret",
        "clientsecret",
        "credential",
        "credentials",
    ),
    *(
        "api_key",
        "api-key",
        "apikey",
        "access_key",
        "access-key",
        "accesskey",
        "account_key",
        "accountkey",
        "sharedaccesskey",
    ),
    *(
        "private_key",
        "private-key",
        "privatekey",
        "subscription-key",
        "subscription_key",
        "encryption_key",
        "authorization",
    ),
    *(
        "auth_token",
        "auth-token",
        "authtoken",
        "access_token",
        "access-token",
        "accesstoken",
        "refresh_token",
        "refreshtoken",
    ),
    *(
        "session_token",
        "sessiontoken",
        "security_token",
        "bearer_token",
        "id_token",
        "api_token",
        "apitoken",
        "bot_token",
    ),
)
_TOLD: Final = ("password", "passcode", "passphrase", "pin")
_SIGNATURES: Final = (
    "?sig",
    "&sig",
    "?x-amz-",
    "&x-amz-",
    "?x-goog-",
    "&x-goog-",
    "?token=",
    "&token=",
    "?key=",
    "&key=",
)
_OF_QUERY: Final = r"[^&\s\"'<>#\["
_PLACEHOLDERS: Final = frozenset(
    {
        *("any", "bool", "bytes", "dict", "false", "int", "list", "none", "null", "object", "optional", "required"),
        *("secretstr", "str", "string", "text", "true", "undefined", "varchar", "number", "missing", "incorrect"),
    }
)
_QUOTES: Final = "\"'"
_CALLED: Final = ("(", "[")
_LEAST: Final = 3
"""Characters of an unquoted value; shorter ones are more often words than secrets."""
_AWS_ID: Final = re.compile(r"(?:AKIA|ASIA)(?<![A-Za-z0-9]....)[A-Z0-9]{16}(?![A-Za-z0-9])")
_AWS_NEAR: Final = 400
"""Characters between a key id and its secret."""


def rules() -> tuple[Rule, ...]:
    """Every rule for credentials and for e-mail addresses, in the order in which they are applied."""
    return (*_wholes(), *_keys(), *_by_name(), _email())


def _rule(starts: tuple[str, ...], pattern: str, replacement: Replacement) -> Rule:
    return Rule(tuple(start.lower() for start in starts), re.compile(pattern, re.IGNORECASE), replacement)


def _wholes() -> tuple[Rule, ...]:
    """What holds other secrets, or would be taken for an e-mail address."""
    ending = r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    return (
        _rule(
            ("-----BEGIN ",),
            rf"(?s)-----BEGIN [A-Z0-9 ]{{0,40}}PRIVATE KEY(?: BLOCK)?-----.*?(?:{ending}|\Z)",
            always(mask("private_key")),
        ),
        _rule(
            ("://",),
            r"""://(?:[^\s/?#@:"'<>]{0,256}+:[^\s/"'<>]{0,512}|[A-Za-z0-9_.~%-]{16,256}+)@""",
            always(f"://{mask('credentials')}@"),
        ),
    )


def _keys() -> tuple[Rule, ...]:
    marks = "|".join(rf"{re.escape(mark)}(?<![A-Za-z0-9]{re.escape(mark)})" for mark in _MARKS)
    return (
        _rule(("sk-",), r"sk-(?<![A-Za-z0-9]sk-)[A-Za-z0-9_-]{16,}+", _without_key),
        _rule(_MARKS, rf"(?:{marks})[A-Za-z0-9_./+=-]{{16,}}+", always(mask("key"))),
        # The secret that belongs to a key id has no mark of its own: 40 characters, masked only near such an id.
        *(
            Rule((), re.compile(r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"), _without_aws_secret, needs)
            for needs in ("akia", "asia")
        ),
        Rule(("akia", "asia"), _AWS_ID, always(mask("key"))),
        Rule(
            ("eyj",),
            re.compile(r"eyJ(?<![A-Za-z0-9_-]eyJ)[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]*+)?"),
            always(mask("token")),
        ),
        _rule(
            ("bearer", "basic"),
            r"(?P<scheme>bearer|basic)[ \t]{1,3}(?P<token>[A-Za-z0-9._~+/=-]{8,}+)",
            _without_token,
        ),
    )


def _by_name() -> tuple[Rule, ...]:
    names = "|".join(re.escape(name) for name in sorted(_NAMES, key=len, reverse=True))
    return (
        _rule(
            _NAMES,
            rf"(?P<name>{names})(?P<link>[\\\"'`*\]]{{0,4}}[ \t]{{0,3}}(?:=>|:=|==?|:)[ \t]{{0,3}})"
            r"(?P<value>\\{0,3}\"[^\"\n]{1,1024}+|\\{0,3}'[^'\n]{1,1024}+"
            r"|(?:(?:bearer|basic|token|digest|apikey)[ \t]{1,3})?[^\s,;&\"'<>(){}\[\]]{1,512}+)",
            _without_value,
        ),
        _rule(
            _TOLD,
            r"(?:password|passcode|passphrase|pin(?<![a-z]pin)(?: code)?)[ ]{1,3}(?:is|was):?[ ]{1,3}[\"'`]?"
            r"(?P<value>[^\s\"'`,;\[\]]{3,128}+)",
            _without_told,
        ),
        _rule(
            _SIGNATURES,
            r"(?P<name>[?&](?:(?:sig|signature|x-amz-[a-z-]{3,20}|x-goog-[a-z-]{3,20})="
            # A word alone may be the key of anything.
            rf"|(?:token|key)=(?={_OF_QUERY}]{{16}})(?={_OF_QUERY}\d]{{0,512}}\d))){_OF_QUERY}]{{1,2048}}+",
            lambda match: match["name"] + mask("token"),
        ),
    )


def _email() -> Rule:
    pattern = (
        r"(?<![A-Za-z0-9._%+-])(?!git@)[A-Za-z0-9._%+-]{1,64}+@(?:[A-Za-z0-9-]{1,63}+\.){1,8}"
        r"(?!(?:png|jpe?g|gif|svg|webp|css|js)\b)[A-Za-z]{2,24}+(?![A-Za-z0-9-])"
    )
    return Rule((), re.compile(pattern), always(mask("email")), "@")


def _without_key(match: re.Match[str]) -> str:
    """A key masked; words joined by hyphens are none."""
    return mask("key") if any(character.isdigit() for character in match[0]) else match[0]


def _without_token(match: re.Match[str]) -> str:
    """A header's token masked; a word that follows `basic` in a sentence is none."""
    token = match["token"]
    is_word = token.isalpha() and (token[1:].islower() or token.isupper())
    return match[0] if is_word else f"{match['scheme']} {mask('token')}"


def _without_value(match: re.Match[str]) -> str:
    """A `name=value` pair without its value, unless that is code, a type, or a word in a sentence."""
    value = match["value"]
    bare = value.lstrip("\\").lstrip(_QUOTES)
    opening = value[: len(value) - len(bare)]
    if bare.lower() in _PLACEHOLDERS or bare.startswith(("$", "%", "{", "*", "[redacted:")):
        return match[0]
    if not opening:
        is_word = ":" in match["link"] and bare.isalpha() and not match["name"].lower().startswith(("pass", "pwd"))
        if len(bare) < _LEAST or is_word or match.string.startswith(_CALLED, match.end()):
            return match[0]
    return f"{match['name']}{match['link']}{opening}{mask('password')}"


def _without_told(match: re.Match[str]) -> str:
    """A password told in a sentence; one made of letters only could be any word."""
    value = match["value"]
    return match[0] if value.rstrip(".!?)").isalpha() else match[0][: -len(value)] + mask("password")


def _without_aws_secret(match: re.Match[str]) -> str:
    text = match[0]
    random = any(c.isdigit() for c in text) and any(c.isupper() for c in text) and any(c.islower() for c in text)
    near = max(0, match.start() - _AWS_NEAR), match.end() + _AWS_NEAR
    return mask("key") if random and _AWS_ID.search(match.string, *near) else text
