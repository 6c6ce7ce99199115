"""What is masked in recorded texts, what is left alone, and that no hook and no text can make a secret come through.

`SECRETS`, `HARMLESS`, `MISSED` and `MISTAKEN` are the measured table of docs/content.md: a test compares the counts.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from langmeter import boundary
from langmeter.settings import Settings
from langmeter.telemetry.redaction import _BASE64, FAILED, Redactor
from langmeter.telemetry.secrets import without_secrets
from langmeter.telemetry.secrets.numbers import is_card

KEY, TOKEN, PASSWORD, CARD = "[redacted:key]", "[redacted:token]", "[redacted:password]", "[redacted:card]"
MAIL, PHONE, LOGIN, PRIVATE = "[redacted:email]", "[redacted:phone]", "[redacted:credentials]", "[redacted:private_key]"
AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzzkey"[:40]
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"

# Text -> what is left of it.
SECRETS = {
    "sk-abcdefghijklmnop1234567890ABCDEFGH": KEY,
    "key sk-proj-AbC_123-def456ghi789jkl012.": f"key {KEY}.",
    "sk-ant-api03-abcDEF123_456-xyz789": KEY,
    "sk-or-v1-0123456789abcdef0123456789abcdef": KEY,
    "AIzaSyA-1234567890abcdefghijklmnopqrstu": KEY,
    "id AKIAIOSFODNN7EXAMPLE": f"id {KEY}",
    f"AKIAIOSFODNN7EXAMPLE, {AWS_SECRET}": f"{KEY}, {KEY}",
    f"AWS_SECRET_ACCESS_KEY={AWS_SECRET}": f"AWS_SECRET_ACCESS_KEY={PASSWORD}",
    "ghp_a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2": KEY,
    "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz": KEY,
    "glpat-abcdefghij0123456789": KEY,
    "xoxb-123456789012-abcdefABCDEF": KEY,
    "https://hooks.slack.com/services/T00000000/B00000000/a1b2c3d4e5f6": f"https://{KEY}",
    "sk_live_abcdEFGH1234567890": KEY,
    "whsec_abcdEFGH1234567890": KEY,
    "hf_aB3daB3daB3daB3daB3daB3daB3daB3daB": KEY,
    "gsk_aB3daB3daB3daB3daB3daB3daB3daB3daB": KEY,
    "lsv2_pt_0a1b0a1b0a1b0a1b0a1b_0a1b0a1b0a": KEY,
    JWT: TOKEN,
    f"cookie: session={JWT}; path=/": f"cookie: session={TOKEN}; path=/",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----\nbye": f"{PRIVATE}\nbye",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQ cut": PRIVATE,
    "Authorization: Bearer abc.def-123": f"Authorization: Bearer {TOKEN}",
    "Authorization: Basic dXNlcjpwYXNzd29yZA==": f"Authorization: Basic {TOKEN}",
    "x-api-key: 0123abcd": f"x-api-key: {PASSWORD}",
    "postgresql://app:s3cr3t@db.internal:5432/x": f"postgresql://{LOGIN}@db.internal:5432/x",
    "redis://:p4ss@cache:6379/0": f"redis://{LOGIN}@cache:6379/0",
    "mysql://root:p@ss@host/db": f"mysql://{LOGIN}@host/db",
    "https://0123456789abcdef0123456789abcdef@o1.ingest.sentry.io/1": f"https://{LOGIN}@o1.ingest.sentry.io/1",
    "Server=x;User Id=sa;Password=Str0ng!;": f"Server=x;User Id=sa;Password={PASSWORD};",
    "AccountKey=abcDEF123/+abcDEF123abc==;": f"AccountKey={PASSWORD};",
    "https://x.test/b?sv=1&sig=abc%2Fdef%3D&x=1": f"https://x.test/b?sv=1&sig={TOKEN}&x=1",
    "https://x.test/a?alt=1&token=3f2a1b6c-aaaa-bbbb-cccc&x=1": f"https://x.test/a?alt=1&token={TOKEN}&x=1",
    "https://x.test/a?key=0123456789abcdef0123 ok": f"https://x.test/a?key={TOKEN} ok",
    "password=hunter2": f"password={PASSWORD}",
    '{"password": "hunter2"}': f'{{"password": "{PASSWORD}"}}',
    r"{\"api_key\": \"hunter2\"}": rf'{{\"api_key\": \"{PASSWORD}"}}',
    "db_password: swordfish": f"db_password: {PASSWORD}",
    "client_secret = 'it is mine'": f"client_secret = '{PASSWORD}'",
    "my password is hunter2.": f"my password is {PASSWORD}",
    "4111 1111 1111 1111": CARD,
    "card 2: 5555555555554444.": f"card 2: {CARD}.",
    "qty 2 4111-1111-1111-1111 12/27": f"qty 2 {CARD} 12/27",
    "3782 822463 10005": CARD,
    "6011.1111.1111.1117": CARD,
    "DE89 3704 0044 0532 0130 00": "[redacted:iban]",
    "to GB82WEST12345698765432 now": "to [redacted:iban] now",
    "jane.doe+x@example.co.uk": MAIL,
    "联系zhang@example.com谢谢": f"联系{MAIL}谢谢",
    "mailto:a@b.io,": f"mailto:{MAIL},",
    "+14155552671": PHONE,
    "ring +49 (0)30 123456-78 at ten": f"ring {PHONE} at ten",
    "(415) 555-2671": PHONE,
    "415-555-2671": PHONE,
    "1 415-555-2671": PHONE,
    "06 12 34 56 78": PHONE,
    "030 1234567": PHONE,
    "020 7946 0958": PHONE,
    "0049 30 123456": PHONE,
    "03-1234-5678": PHONE,
    "call me at 4155552671": f"call me at {PHONE}",
    '"phone": "4155552671"': f'"phone": "{PHONE}"',
}
HARMLESS = [
    "order 20240501123456789",
    "1714564800123 ms, 1714564800123456789 ns",
    "pi is 3.14159265358979323846",
    "4111111111111111.5",
    "2024-05-01 10:00:00+0000",
    "2024-05-01T10:00:00.123456Z",
    "01-02-2024",
    "550e8400-e29b-41d4-a716-446655440000",
    "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3",
    "risk-management-system-2024-plan",
    "sk-learn-contrib-something",
    "task-12345678901234567",
    "lodash@4.17.21",
    "git@github.com:org/repo.git",
    "icon@2x.png",
    "user@host",
    "@property",
    "basic internationalization",
    "The bearer certificates",
    "the secret: be patient",
    "secretary: Bob",
    "the password is required",
    "password: str = Field()",
    "password: required",
    "api_key=os.environ['X']",
    "token = tokenizer.encode(x)",
    "password = get_password()",
    "password=$DB_PASSWORD",
    '{"properties": {"password": {"type": "string"}}}',
    '{"type": "password"}',
    "max_tokens: 4096",
    "at +37.7749295, -122.4194155",
    "192.168.100.200",
    "version 1.2.3.4567",
    "values 200 300 4000",
    "ISBN 978-3-16-148410-0",
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
    "https://example.com:8080/a/b?c=d@e",
    "https://example.com/a?key=a-long-name-in-words&token=3f2a",
    "tracking 1Z999AA10123456784",
    "invoice 2024-000123",
    "tool call 123456789",
    "call_abc123456789",
    "temperature=0.7, 1e+12345",
    "4111 1111 1111 1112",
    "[redacted:card] and password=[redacted:password]",
]
# What a reader of the documentation has to know: secrets that come through, and harmless texts that do not.
MISSED = {
    "the key is 0123456789abcdef0123456789abcdef": None,
    "password: correct horse battery staple": f"password: {PASSWORD} horse battery staple",
    "415 555 2671": None,
    "4155552671": None,
    "jürgen@exämple.de": None,
    "jane at example dot com": None,
    "four one one one 1111 1111 1111": None,
    "login --password hunter2": None,
    "\uff14\uff11\uff11\uff11 1111 1111 1111": None,
}
MISTAKEN = [
    "password: optional-field",
    "01 02 03 04 05",
    "90210 12345",
    "+12345678 points",
    "credential=example-value",
]
ANY_MASK = "[redacted:"


def redactor(**settings):
    return Redactor(Settings(content="span", **settings))


@pytest.mark.parametrize(("text", "left"), SECRETS.items())
def test_secrets_are_masked_and_the_rest_stays(text, left):
    assert without_secrets(text) == left
    assert without_secrets(left) == left


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_a_secret_stays(text):
    assert without_secrets(text) == text
    assert without_secrets(f"so: ({text}), yes") == f"so: ({text}), yes"


def test_the_known_misses_and_mistakes_are_as_documented():
    masked = [text for text, left in MISSED.items() if without_secrets(text) != (left or text)]
    spared = [text for text in MISTAKEN if ANY_MASK not in without_secrets(text)]
    assert (masked, spared) == ([], [])
    page = (Path(__file__).parents[2] / "docs" / "content.md").read_text(encoding="utf-8")
    found, kept = len(SECRETS), len(HARMLESS)
    assert f"| {found + len(MISSED)} | {found} masked | {len(MISSED)} come through |" in page
    assert f"| {kept + len(MISTAKEN)} | {kept} left alone | {len(MISTAKEN)} masked |" in page


def test_secrets_in_a_long_text_are_each_masked():
    lines = "\n".join(SECRETS)
    masked = without_secrets(f"{'word ' * 5000}{lines}{' word' * 5000}")
    leaked = [text for text in ("hunter2", "s3cr3t", AWS_SECRET, "MIIEow", "4155552671", "zhang@") if text in masked]
    assert leaked == []


def test_letters_that_change_length_when_folded_do_not_shift_the_masks():
    assert without_secrets("İİİ sk-abcdefghij1234567890 İ password=hunter2") == f"İİİ {KEY} İ password={PASSWORD}"


@pytest.mark.parametrize(
    ("digits", "expected"),
    [("4111111111111111", True), ("4111111111111112", False), ("1111111111111117", False), ("2720999999999996", True)],
)
def test_a_card_has_a_known_issuer_and_a_right_check_digit(digits, expected):
    assert is_card(digits) is expected


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_text_is_cut_and_says_how_long_it_was():
    assert redactor().text("x" * 50, 50) == "x" * 50
    assert redactor().text("x" * 51, 50) == "x" * 50 + "…[51 characters]"
    assert redactor().text("x" * 1_000_000, 50) == "x" * 50 + "…[1000000 characters]"


@pytest.mark.parametrize(
    "secret", ["sk-abcdefghijklmnop1234567890", "4111 1111 1111 1111", "password=hunter2hunter2", JWT]
)
def test_no_half_of_a_secret_is_left_at_a_cut(secret):
    value = secret.removeprefix("password=")
    pieces = [value[start : start + 8] for start in range(len(value) - 7)]
    for before in (*range(80, 101), *range(4_150, 4_200)):
        shown = redactor().text("- " * (before // 2) + "-" * (before % 2) + " " + secret + " tail" * 10_000, 100)
        assert [piece for piece in pieces if piece in shown] == []


def test_many_masks_do_not_pull_half_of_a_secret_into_view():
    """Masks are shorter than secrets: what was far behind the cut moves in front of it."""
    text = ("sk-" + "a1" * 200 + " ") * 12 + "sk-" + "b2" * 200 + " tail" * 1_000
    for extra in range(300):
        shown = redactor().text("z" * extra + " " + text, 1_000)
        assert "a1a1" not in shown
        assert "b2b2" not in shown


def test_encoded_data_is_named_not_recorded():
    data = "iVBORw0KGgo" * 200_000
    redact = redactor(redact_patterns="none").text
    assert redact(f"Look: data:image/png;base64,{data}", 16_384) == "Look: [image/png data]…[2200028 characters]"
    assert redact(f"see {data[:2_000]} and", 16_384) == "see [base64 data] and"
    assert redact("a" * 3_000, 16_384) == "a" * 3_000


def test_letters_that_are_nearly_encoded_data_are_looked_at_once():
    """A run of letters is tried where it begins, not at every letter: only there may the pattern match."""
    runs = [match.start() for match in _BASE64.finditer(" ".join(["aB3" * 400, "x" * 1_023, "aB3" * 400]))]
    assert runs == [0, 1_200 + 1_023 + 2]
    assert _BASE64.match("x" * 2_000, 1) is None


def test_lone_surrogates_cannot_spoil_the_batch():
    assert redactor().text("a\ud800b", 10) == "a?b"


# -- the user's hook ---------------------------------------------------------------------------------------------------


def test_the_hook_sees_a_text_first_and_the_patterns_see_what_it_returns():
    seen = []

    def hook(text):
        seen.append(text)
        return text.replace("Jane", "X") + " sk-abcdefghij1234567890"

    assert redactor(redact=hook).text("Jane: a@b.io", 100) == f"X: {MAIL} {KEY}"
    assert redactor(redact=hook, redact_patterns="none").text("Jane", 100) == "X sk-abcdefghij1234567890"
    assert seen == ["Jane: a@b.io", "Jane"]


@pytest.mark.parametrize("result", [None, 7, b"bytes", ["text"]])
def test_a_hook_that_returns_no_text_loses_the_text_and_is_counted(result):
    boundary.set_strict(False)
    assert redactor(redact=lambda _: result).text("secret", 100) == FAILED
    assert boundary.error_counts() == {"redact": 1}


async def as_coroutine(text):
    return text


def test_a_hook_that_is_a_coroutine_function_warns_nobody(recwarn):
    boundary.set_strict(False)
    assert redactor(redact=as_coroutine).text("secret", 100) == FAILED
    assert [str(warned.message) for warned in recwarn] == []


def test_a_hook_is_not_asked_about_nothing():
    seen = []
    assert redactor(redact=lambda text: seen.append(text) or text).text("", 100) == ""
    assert seen == []


def test_a_hook_that_raises_loses_the_text_and_is_counted():
    boundary.set_strict(False)

    def hook(text):
        raise ValueError(text)

    assert redactor(redact=hook).text("secret", 100) == FAILED
    assert boundary.error_counts() == {"redact": 1}


def test_a_hook_that_returns_far_more_is_cut():
    shown = redactor(redact=lambda text: text * 1_000_000).text("abc", 100)
    assert len(shown) < 130


def test_a_hook_that_records_content_itself_does_not_recurse():
    boundary.set_strict(False)

    def hook(text):
        return inner.text(text, 100)

    inner = redactor(redact=hook)
    assert inner.text("secret", 100) == FAILED


def test_without_patterns_and_hook_a_text_stays():
    text = "sk-abcdefghij1234567890 4111111111111111"
    assert redactor(redact_patterns="none").text(text, 100) == text
    assert redactor(redact_patterns="none").number(4111111111111111) == 4111111111111111
    assert redactor(redact_patterns="none").hidden("password") is None


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *[
            (name, True)
            for name in ("password", "DB_PASSWORD", "apiKey", "x-api-key", "Authorization", "token", "Set-Cookie")
        ],
        *[
            (name, False)
            for name in ("tokens", "max_tokens", "next_page_token", "secretary", "author", "key", "passport")
        ],
    ],
)
def test_the_name_of_a_value_says_whether_it_is_a_secret(name, secret):
    assert redactor().hidden(name) == (PASSWORD if secret else None)


def test_a_long_name_is_known_by_its_end():
    assert redactor().hidden("of " * 30 + "password") == PASSWORD
    assert redactor().hidden("password" + " of" * 30) is None
