"""Secrets of many kinds, made up and different from one another, and a search for what is left of them in a text.

They are put together from a seed, so that no scanner of repositories takes one for somebody's.
"""

from __future__ import annotations

import base64
import random
import string
from typing import NamedTuple

_ALPHABET = string.ascii_letters + string.digits
_WINDOW = 12
"""Characters of a secret in a row that count as a leak."""


def _body(name: str, length: int, alphabet: str = _ALPHABET) -> str:
    """Random characters that belong to this name; a digit is always among them, as in any key."""
    made = random.Random(name).choices(alphabet, k=length - 1)
    return "".join([*made[: length // 2], "7", *made[length // 2 :]])


class Secret(NamedTuple):
    """One secret as an application has it, and the part of it that nobody else may see."""

    text: str
    core: str

    def is_in(self, text: str) -> bool:
        """Whether `text`, in lower case, holds a recognisable part of it: some of our values are folded."""
        core = self.core.lower()
        return any(core[start : start + _WINDOW] in text for start in range(len(core) - _WINDOW + 1))


def _key(name: str, prefix: str, length: int = 40) -> Secret:
    body = _body(name, length)
    return Secret(prefix + body, body)


def _in(name: str, form: str, length: int = 32) -> Secret:
    body = _body(name, length)
    return Secret(form.format(body), body)


def _card(name: str) -> Secret:
    digits = "492912" + _body(name, 9, string.digits)
    odd = (int(digit) * 2 for digit in reversed(digits[::2]))
    total = sum(value - 9 if value > 9 else value for value in odd) + sum(map(int, digits[1::2]))
    digits += str(-total % 10)
    shown = " ".join(digits[start : start + 4] for start in range(0, 16, 4))
    return Secret(shown, shown)


def _iban(name: str) -> Secret:
    account = _body(name, 18, string.digits)
    check = 98 - int(account + "131400") % 97  # DE00 behind the account, its letters as numbers
    return Secret(f"DE{check:02}{account}", account)


def _jwt(name: str) -> Secret:
    body = _body(name, 43)
    return Secret(f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{body}", body)


def _pem(name: str) -> Secret:
    body = _body(name, 64)
    kind = "PRIVATE KEY"
    return Secret(f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----", body)


def _image(name: str) -> Secret:
    encoded = base64.b64encode(b"\x89PNG\r\n\x1a\n" + _body(name, 1_200).encode()).decode()
    return Secret(f"data:image/png;base64,{encoded}", encoded[24:])


WRITTEN = {
    # What people put into prompts, tools, documents and states; every one has a form that it can be told by.
    "provider key": _key("provider key", "sk-proj-", 48),
    "payment card": _card("payment card"),
    "e-mail": _in("e-mail", "{}@example.com", 20),
    "phone": Secret("+49 30 90182077", "+49 30 90182077"),
    "iban": _iban("iban"),
    "private key": _pem("private key"),
    "jwt": _jwt("jwt"),
    "image": _image("image"),
    "signed url": _in("signed url", "https://files.example.com/a.png?X-Amz-Expires=60&X-Amz-Signature={}", 64),
    "git token": _key("git token", "ghp_", 36),
    "chat token": _key("chat token", "xoxb-", 40),
    "connection string": _in("connection string", "postgresql://app:{}@db.example.com:5432/app"),
    "payment key": _key("payment key", "sk_" + "live_", 40),
    "cloud key": _in("cloud key", f"{'AKIA' + 'Q' * 16} {{}}", 40),
    "share signature": _in("share signature", "https://acct.example.com/doc?sv=1&sig={}", 43),
    "search key": _key("search key", "AIza", 35),
    "password": _in("password", "password={}", 16),
    "bearer": _in("bearer", "Authorization: Bearer {}"),
    "hub token": _key("hub token", "hf_", 34),
    "pipeline token": _key("pipeline token", "glpat-", 20),
    "package token": _key("package token", "npm_", 36),
    "second provider key": _key("second provider key", "sk-ant-api03-", 80),
    "mail key": _in("mail key", "SG.{}", 60),
    "third provider key": _key("third provider key", "xai-", 60),
    "fast provider key": _key("fast provider key", "gsk_", 50),
    "host token": _key("host token", "dop_v1_", 64),
    "index token": _key("index token", "pypi-", 60),
    "shop token": _key("shop token", "shpat_", 32),
    "echoed key": _key("echoed key", "sk-", 48),
    "workspace token": _key("workspace token", "dapi", 32),
    "vault token": _key("vault token", "hvs.", 40),
}
CONFIGURED = {
    # What sits in the configuration of models, clients and runs; most have no form of their own.
    name: _in(name, form)
    for name, form in {
        "anthropic key": "{}",
        "environment key": "{}",
        "session cookie": "session={}",
        "url password": "{}",
        "url path": "{}",
        "url query": "{}",
        "organization": "org-{}",
        "model argument": "{}",
        "extra body": "{}",
        "end user": "user-{}",
        "customer": "{}",
        "run metadata": "{}",
        "model metadata": "{}",
        "tag": "customer:{}",
        "configurable": "{}",
        "retriever key": "{}",
        "attribute": "{}",
    }.items()
}
SECRETS = WRITTEN | CONFIGURED
CONTROL = _in("control", "the gate opens with {}")
"""Without any form: recorded with content, whatever is masked. It proves that content was recorded at all."""


def secret(name: str) -> str:
    """One secret as it is written."""
    return SECRETS[name].text


def found_in(text: str) -> list[str]:
    """The names of the secrets that a text tells something of."""
    folded = text.lower()
    return [name for name, secret in SECRETS.items() if secret.is_in(folded)]
