"""Which text of a configuration is shown, which is known by its hash, and which does not appear at all.

Text is shown only under names that are known to hold identifiers (`model`, `search_type`). Every other text is known by a
hash, so that a change of it is seen and it is not. What is secret by its name or by its look is replaced by a fixed mark:
a hash would change with the secret, and that of a short password can be guessed.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final
from urllib.parse import urlsplit

from langmeter.telemetry.secrets import without_secrets

REDACTED: Final = "[redacted]"
_SHOWN_DIGITS: Final = 16
_LONGEST_SCANNED: Final = 100_000
"""Characters in which secrets are looked for by their look; longer texts are no keys, and only their hash is shown."""

_STATED: Final = frozenset(
    {
        *("model", "model_name", "model_id", "base_model", "model_provider", "deployment", "deployment_name"),
        *("azure_deployment", "engine", "embedding_model", "provider", "service_tier", "reasoning_effort"),
        *("effort", "verbosity", "type", "kind", "mode", "method", "strategy", "role", "language", "format"),
        *("device", "dtype", "search_type", "task_type", "tool_choice", "response_format", "template_format"),
        *("encoding_format", "output_version", "output_parser_type", "stream_mode", "truncation", "inference_geo"),
        *("region", "region_name", "location", "api_version", "openai_api_version", "openai_api_type"),
        *("variable_name", "variable_names", "input_variables", "optional_variables", "input_key", "input_keys"),
        *("output_key", "output_keys", "memory_key", "exception_key", "messages_key", "default_key", "keys"),
        *("collection_name", "index_name", "interrupt_before", "interrupt_after", "revision", "summary", "detail"),
        *("order", "metric", "distance_strategy", "inputs", "outputs"),
    }
)
_STATED_ENDINGS: Final = ("_model", "_mode", "_type", "_format", "_version", "_tier", "_effort", "_region", "_strategy")
_PROSE: Final = frozenset(
    {
        *("template", "content", "text", "description", "instructions", "system", "system_prompt", "prompt"),
        *("prefix", "suffix", "example_separator", "page_content", "summary_prompt", "system_message"),
    }
)
_URL_NAMES: Final = re.compile(r"(?:^|_)(?:url|uri|endpoint|host|base|proxy|server)s?$")
_PATH_NAMES: Final = re.compile(r"(?:^|_)(?:path|dir|directory|folder|file|filename)s?$")
_HOLDER_NAMES: Final = re.compile(r"(?:^|_)(?:headers?|env|environ|environment|query|cookies?|auth|credentials?)$")
_HARMLESS_HEADERS: Final = frozenset({"anthropic-beta", "anthropic-version", "openai-beta", "content-type", "accept"})
_SECRET_WORDS: Final = frozenset(
    {
        *("key", "token", "secret", "password", "passwd", "passphrase", "pwd", "pass", "credential", "credentials"),
        *("creds", "auth", "authorization", "bearer", "cookie", "cookies", "jwt", "oauth", "sas", "sig"),
        *("signature", "dsn", "pin", "otp", "session", "nonce", "salt"),
    }
)
_SECRET_PARTS: Final = re.compile(
    r"apikey|secret|passw|passphrase|credential|authoriz|authtoken|accesstoken|accesskey|privatekey|bearer|"
    r"connectionstring|connstr|cookie|subscriptionkey|tokenprovider"
)
_NO_SECRETS: Final = re.compile(
    r"(?:input|output|memory|exception|(?:history_)?messages|default|chat_history|history|id|source|prompt|partition|sort|group)_keys?"
    r"|(?:max_|min_|num_|n_)?(?:\w+_)?tokens|token_(?:counter|count|limit|ids?|budget)|(?:bos|eos|pad|unk|sep)_token(?:_id)?"
    r"|\w+_per_token|keys|return_\w+|auth_type|auth_mode|stream_token"
)
_RANDOM: Final = re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z0-9]*[0-9])(?=[A-Za-z0-9]*[A-Za-z])[A-Za-z0-9]{20,}")
_RANDOM_SYMBOLS: Final = re.compile(r"(?=.*[0-9])(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9+/=_.~!@#$%^&*\-]{20,500}")
_RANDOM_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{0,40}://\S+")
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/\- ]{0,79}")
_QUALIFIED: Final = re.compile(r"[\w.<>\[\], ]+")
_LONGEST_NAME: Final = 200
_STATED_TEXT: Final = re.compile(r"[^\s\x00-\x1f]{1,200}")
_ADDRESS: Final = re.compile(r"\b0x[0-9A-Fa-f]{6,}")


def digest(content: str | bytes) -> str:
    """The hash that stands for a content: `sha256:` and its first 16 hexadecimal digits."""
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogatepass")
    return f"sha256:{hashlib.sha256(content).hexdigest()[:_SHOWN_DIGITS]}"


def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds a secret, whatever its value looks like."""
    spelt = _snake_case(name)
    if _NO_SECRETS.fullmatch(spelt):
        return False
    return not _SECRET_WORDS.isdisjoint(spelt.split("_")) or _SECRET_PARTS.search(spelt.replace("_", "")) is not None


def redacts_values(name: str, key: str) -> bool:
    """Whether the values of a mapping of this name (headers, environment, query) are all secret, `key`'s included."""
    return _HOLDER_NAMES.search(_snake_case(name)) is not None and key.lower() not in _HARMLESS_HEADERS


def label(key: str) -> str:
    """A key of a mapping or a name that an application gave: as it is where it is an identifier, else its hash."""
    if _IDENTIFIER.fullmatch(key) and not _is_secret_text(key):
        return _ADDRESS.sub("0x", key)
    return digest(key)


def qualified(module: object, name: str) -> str:
    """The name of a class or a function with its module."""
    full = f"{module}.{name}"[:_LONGEST_NAME]
    return full if _QUALIFIED.fullmatch(full) else digest(full)


def text(name: str, value: str) -> str:
    """How a text appears that stands under `name`: itself, its hash, or the mark of what is redacted."""
    spelt = _snake_case(name)
    if is_secret_name(name):
        return REDACTED
    if spelt in _PROSE or len(value) > _LONGEST_SCANNED:
        return digest(value)
    if _URL.fullmatch(value):
        shown = _without_credentials(value)
        return shown if _URL_NAMES.search(spelt) else digest(shown)
    stated = spelt in _STATED or spelt.endswith(_STATED_ENDINGS)
    if without_secrets(value) != value or _is_random(value, of_signs=not stated):
        return REDACTED
    if stated and _STATED_TEXT.fullmatch(value):
        return _ADDRESS.sub("0x", value)
    # The directory differs from machine to machine; the file does not.
    return digest(re.split(r"[/\\]", value.rstrip("/\\"))[-1] if _PATH_NAMES.search(spelt) else value)


def _snake_case(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name[:200])
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")


def _is_secret_text(value: str) -> bool:
    return without_secrets(value) != value or _is_random(value)


def _is_random(value: str, *, of_signs: bool = True) -> bool:
    """Whether a text looks made by a generator; names of models have as many signs as passwords, so there they do not count."""
    if _RANDOM.search(value) or _RANDOM_UUID.search(value):
        return True
    return of_signs and _RANDOM_SYMBOLS.fullmatch(value) is not None


def _without_credentials(url: str) -> str:
    """Scheme, host, port and path; no user, no query, no fragment, and no segment of the path that looks like a key."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return REDACTED
    if _is_secret_text(host):
        return REDACTED
    segments = [REDACTED if _is_secret_text(segment) else segment for segment in parts.path[:500].split("/")]
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{'/'.join(segments)}"
