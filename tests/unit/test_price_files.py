"""Price files: what they may say, and how each kind of bad one is refused, whole, with its line and the way to mend it."""

import json
import math
import os
import pickle
import re
import subprocess
import sys
import textwrap
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from langmeter.errors import PriceFileError, SettingsError
from langmeter.events import PricingTerms
from langmeter.pricing.compilation import OVERRIDE_KEYS
from langmeter.pricing.price_files.book import (
    BaseModel,
    Discount,
    Match,
    PriceBook,
    PriceRow,
    Step,
    SteppedPrice,
    Window,
)
from langmeter.pricing.price_files.file import LARGEST_FILE, read_price_file
from langmeter.pricing.price_files.rows import _ROW_KEYS, TIERS, read_rows

# The file of the documentation, with everything in it.
FULL = """\
# prices.yaml
version: 1
currency: USD
models:
  - match: {provider: openai, model: ACME-large-2}
    from: 2026-11-17
    price: {input_mtok: 8, output_mtok: "40", cache_read_mtok: 0.8, cache_write_mtok: 10}
    tiers:
      batch: {input_mtok: 4, output_mtok: 20}
      flex: {input_mtok: 5, long_context: {above: 272000, input_mtok: 10}}
    long_context: {above: 272000, input_mtok: 16, output_mtok: 60}
    source: https://example.com/where-you-read-it
  - match: {model: "ft:gpt-4.1-2025-04-14:acme:*"}
    base_model: gpt-4.1
    multiplier: 1.5
  - match: {provider: azure_openai, deployment: chat-eu}
    base_model: {provider: openai, model: gpt-4o}
    multiplier: 1.1
  - match: {provider: ollama}
    price: {input_mtok: 0, output_mtok: 0}
  - match: {provider: vllm, model: "llama-*"}
    per_hour: {usd: 2.50, share: in_flight}
  - match: {model: night}
    weekdays: [mon-fri, sun]
    hours: ["16:30-00:30", 08:00-09:00]
    until: 2026-11-17T12:00:00+01:00
    price: {input_mtok: 1}
discounts: [{provider: openai, multiplier: 0.9}, {provider: openai, model: "gpt-5*", multiplier: 0.8}]
"""
NOVEMBER_17 = datetime(2026, 11, 17, tzinfo=UTC).timestamp()
_OTHERS = (("cache_read_mtok", Decimal("0.8")), ("cache_write_mtok", Decimal(10)))
FULL_BOOK = PriceBook(
    (
        PriceRow(
            Match("openai", "acme-large-2"),
            (
                *_OTHERS,
                ("input_mtok", SteppedPrice(Decimal(8), [Step(272_000, Decimal(16))])),
                ("output_mtok", SteppedPrice(Decimal(40), [Step(272_000, Decimal(60))])),
            ),
            (
                ("batch", (*_OTHERS, ("input_mtok", Decimal(4)), ("output_mtok", Decimal(20)))),
                (
                    "flex",
                    (
                        *_OTHERS,
                        ("input_mtok", SteppedPrice(Decimal(5), [Step(272_000, Decimal(10))])),
                        ("output_mtok", Decimal(40)),
                    ),
                ),
            ),
            valid_from=NOVEMBER_17,
        ),
        PriceRow(Match(model="ft:gpt-4.1-2025-04-14:acme:*"), base=BaseModel("gpt-4.1"), multiplier=Decimal("1.5")),
        PriceRow(Match("azure", deployment="chat-eu"), base=BaseModel("gpt-4o", "openai"), multiplier=Decimal("1.1")),
        PriceRow(Match("ollama"), (("input_mtok", Decimal(0)), ("output_mtok", Decimal(0)))),
        PriceRow(Match("vllm", "llama-*"), per_hour=Decimal("2.5")),
        PriceRow(
            Match(model="night"),
            (("input_mtok", Decimal(1)),),
            valid_until=NOVEMBER_17 + 11 * 3_600,
            window=Window(frozenset({0, 1, 2, 3, 4, 6}), ((0, 30), (480, 540), (990, 1_440))),
        ),
    ),
    (Discount(Match("openai"), Decimal("0.9")), Discount(Match("openai", "gpt-5*"), Decimal("0.8"))),
)


@pytest.fixture
def read(tmp_path):
    def read(content, name="prices.yaml"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_price_file(str(path))

    return read


def test_everything_a_file_may_say_is_read(read):
    book = read(FULL)
    assert book == FULL_BOOK
    assert [row.line for row in book.rows] == [5, 13, 16, 19, 21, 23]
    assert book.rows[0].source == "https://example.com/where-you-read-it"


def test_yaml_json_and_a_dictionary_are_the_same(read):
    document = yaml.safe_load(FULL)
    assert document["models"][0]["from"] == date(2026, 11, 17)
    as_json = json.dumps(document, default=str, indent=1)
    books = [
        read(FULL),
        read(FULL, "prices.yml"),
        read(FULL, "prices"),
        read(as_json, "prices.json"),
        read(as_json, "prices"),
        read("\ufeff" + FULL.replace("\n", "\r\n")),
        read_rows(document, name="cost_overrides"),
    ]
    assert [book.rows for book in books] == [FULL_BOOK.rows] * 7
    assert len({book.digest() for book in books}) == 1
    assert len(books[0].digest()) == 8


def test_another_price_has_another_digest_and_another_comment_has_not(read):
    digest = read(FULL).digest()
    assert read("# new\n" + FULL.replace("/where-you-read-it", "/elsewhere")).digest() == digest
    changes = (
        ("usd: 2.50", "usd: 2.51"),
        ("0.9}", "0.91}"),
        ("mon-fri, sun", "mon-fri"),
        ("2026-11-17\n", "2026-11-18\n"),
    )
    assert len({read(FULL.replace(*change)).digest() for change in changes} | {digest}) == 5


def test_every_price_key_is_known(read):
    prices = ", ".join(f"{key}: 1" for key in OVERRIDE_KEYS)
    (row,) = read(f"models: [{{match: {{model: m}}, price: {{{prices}}}}}]").rows
    assert dict(row.prices) == dict.fromkeys(OVERRIDE_KEYS, Decimal(1))


def test_numbers_keep_their_digits(read):
    amounts = {"input_mtok": "0.1234567890123456789", "output_mtok": "1_0.5"}
    text = "models: [{match: {model: m}, price: {" + ", ".join(f"{k}: {v}" for k, v in amounts.items()) + "}}]"
    (row,) = read(text).rows
    assert dict(row.prices) == {"input_mtok": Decimal("0.1234567890123456789"), "output_mtok": Decimal("10.5")}
    text = '{"models": [{"match": {"model": "m"}, "price": {"input_mtok": 0.1234567890123456789}}]}'
    assert read(text, "p.json").rows[0].prices == (("input_mtok", Decimal("0.1234567890123456789")),)


def test_the_page_about_prices_is_right(read):
    page = (Path(__file__).parents[2] / "docs" / "prices.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    book = read(example)
    assert (len(book.rows), len(book.discounts)) == (5, 1)
    named = [*OVERRIDE_KEYS, *TIERS, *_ROW_KEYS, *PricingTerms._fields]
    assert [name for name in named if f"`{name}`" not in page] == []


# -- bad files -------------------------------------------------------------------------------------------------------


def entry(text, more=""):
    """A file with one sound entry, and one with `text` that begins in line 4."""
    lines = textwrap.indent(textwrap.dedent(text).strip(), "    ").lstrip()
    return f"models:\n  - match: {{model: sound}}\n    price: {{input_mtok: 1}}\n  - {lines}\n{more}"


def priced(**amounts):
    return entry("match: {model: m}\nprice: {" + ", ".join(f"{key}: {value}" for key, value in amounts.items()) + "}")


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
DEEP = "models: " + "[" * 100_000

BAD = {
    # amounts
    "negative": (priced(input_mtok=-1), 5, "input_mtok .* at least 0, got -1"),
    "not a number": (priced(input_mtok=".nan"), 5, "input_mtok .* at least 0, got NaN"),
    "infinite": (priced(input_mtok=".inf"), 5, "got Infinity"),
    "infinite text": (priced(input_mtok='"inf"'), 5, "got 'inf'"),
    "text": (priced(input_mtok="cheap"), 5, "must be a number, got 'cheap'"),
    "with its unit": (priced(input_mtok='"$8"'), 5, r"must be a number, got '\$8'"),
    "true": (priced(input_mtok="true"), 5, "must be a number, got True"),
    "nothing": (priced(input_mtok=""), 5, "must be a number, got None"),
    "a list as amount": (priced(input_mtok="[1]"), 5, "must be a number, got a list"),
    "per token": (priced(input_mtok=0.0000025), 5, "looks like a price per token; per million tokens it is 2.5"),
    "per thousand": (priced(output_mtok=0.0006), 5, "looks like a price per token"),
    "output per thousand": (priced(output_mtok="0.0015"), 5, "per thousand tokens; per million tokens it is 1.5"),
    "in cents per billion": (priced(input_mtok=2_500_000), 5, "must be at most 100,000, got 2500000"),
    "beyond all measure": (priced(input_mtok="1e99999999999999999999"), 5, "input_mtok"),
    "no amounts": (entry("match: {model: m}\nprice: {}"), 5, "price sets no price"),
    "unknown unit": (priced(input_ktok=1), 5, "price has no key 'input_ktok'; did you mean 'input_mtok'"),
    # keys
    "unknown key": (entry("match: {model: m}\nprices: {input_mtok: 1}"), 5, "'prices'; did you mean 'price'"),
    "unknown key at the top": ("model: []", 1, "has no key 'model'; did you mean 'models'"),
    "unknown key of match": (
        entry("match: {name: m}\nprice: {input_mtok: 1}"),
        4,
        "match has no key 'name'; it may have deployment, model, provider",
    ),
    "key twice": (entry("match: {model: m}\nprice: {input_mtok: 1}\nprice: {input_mtok: 2}"), 6, "in line 5 already"),
    "key that is no text": (entry("match: {model: m}\n? [a]\n: 1"), 5, "a key must be plain text"),
    "merge key": (entry("match: {model: m}\n<<: {}\nprice: {input_mtok: 1}"), 5, "no key '<<'"),
    # the document
    "empty": ("", 1, "is empty"),
    "only a comment": ("# nothing\n", None, "is empty"),
    "an empty mapping": ("{}", 1, "is empty"),
    "no entries": ("version: 1\nmodels: []\n", 1, "has no entries"),
    "a list": ("- a\n", 1, "the document must be a mapping, got a list"),
    "text alone": ("prices\n", 1, "the document must be a mapping, got 'prices'"),
    "another version": ("version: 2\nmodels: []\n", 1, "version must be 1, got 2"),
    "another currency": ("version: 1\ncurrency: EUR\n", 2, "currency must be USD, got 'EUR'"),
    "models is no list": ("models: {a: 1}\n", 1, "models must be a list, got a mapping"),
    "two documents": (entry("match: {model: m}\nprice: {input_mtok: 1}", "---\na: 1\n"), 7, "second document"),
    "aliases that multiply": (BOMB, 1, "anchors .* not allowed"),
    "alias": ("a: *b\n", 1, "anchors .* not allowed"),
    "tag": ("models: !!python/object/apply:os.system [ls]\n", 1, "tag .* not allowed"),
    "nested deeply": (DEEP, 1, "levels deep"),
    "unfinished": ("models: [\n", 2, "is not valid YAML"),
    "tabs": ("models:\n\t- a\n", 2, "is not valid YAML"),
    "binary": (b"models:\n\xff\xfe\x00\x80", 2, "is not UTF-8 text"),
    "control characters": ("models:\n  - a\x00b\n", 2, "has the control character"),
    "50 MB": (b"# " + b"x" * 50_000_000, None, "is larger than 1,048,576 bytes"),
    # entries
    "no match": (entry("price: {input_mtok: 1}"), 4, "needs 'match'"),
    "empty match": (entry("match: {}\nprice: {input_mtok: 1}"), 4, "at least one of provider, model, deployment"),
    "empty name": (entry('match: {model: " "}\nprice: {input_mtok: 1}'), 4, "model must be text"),
    "a pattern as provider": (
        entry('match: {provider: "open*", model: m}\nprice: {input_mtok: 1}'),
        4,
        r"provider must be a name, not a pattern, got 'open\*'; leave it out to mean every provider",
    ),
    "a list as name": (entry("match: {model: [a, b]}\nprice: {input_mtok: 1}"), 4, "model must be text, .* got a list"),
    "no price": (entry("match: {model: m}"), 4, "exactly one of price, base_model, per_hour; got none"),
    "two prices": (
        entry("match: {model: m}\nprice: {input_mtok: 1}\nbase_model: n"),
        4,
        "exactly one of .*; got price and base_model",
    ),
    "multiplier alone": (
        entry("match: {model: m}\nprice: {input_mtok: 1}\nmultiplier: 2"),
        6,
        "multiplier goes with base_model only",
    ),
    "percent as multiplier": (entry("match: {model: m}\nbase_model: n\nmultiplier: 110"), 6, "at most 20, got 110"),
    "tiers of a base model": (entry("match: {model: m}\nbase_model: n\ntiers: {}"), 6, "tiers goes with price only"),
    "unknown tier": (
        entry("match: {model: m}\nprice: {input_mtok: 1}\ntiers: {cheap: {input_mtok: 1}}"),
        6,
        "tier 'cheap' is not known; tiers are batch, fast, flex",
    ),
    "tier without prices": (
        entry("match: {model: m}\nprice: {input_mtok: 1}\ntiers:\n  batch: 0.5"),
        7,
        "a tier must be a mapping of prices, got 0.5",
    ),
    "base model without a model": (
        entry("match: {model: m}\nbase_model: {provider: openai}"),
        5,
        "base_model needs 'model'",
    ),
    "per hour without dollars": (entry("match: {model: m}\nper_hour: {share: in_flight}"), 5, "per_hour needs 'usd'"),
    "unknown share": (entry("match: {model: m}\nper_hour: {usd: 1, share: all}"), 5, "share must be in_flight"),
    "source that is no text": (
        entry("match: {model: m}\nprice: {input_mtok: 1}\nsource: [a]"),
        6,
        "source must be text",
    ),
    # long contexts
    "long context without a threshold": (
        entry("match: {model: m}\nprice: {input_mtok: 1}\nlong_context: {input_mtok: 2}"),
        6,
        "long_context needs 'above'",
    ),
    "long context from half a token": (
        entry("match: {model: m}\nprice: {input_mtok: 1}\nlong_context: {above: 0.5, input_mtok: 2}"),
        6,
        "above must be a whole number of tokens",
    ),
    "long context for what has no price": (
        entry("match: {model: m}\nprice: {input_mtok: 1}\nlong_context: {above: 9, output_mtok: 2}"),
        6,
        "'price' must have output_mtok too",
    ),
    "long context for a fee": (
        entry("match: {model: m}\nprice: {requests_kcount: 1}\nlong_context: {above: 9, requests_kcount: 2}"),
        6,
        "a fee does not depend on the input",
    ),
    # time
    "no date": (entry("match: {model: m}\nfrom: soon\nprice: {input_mtok: 1}"), 5, "from must be a date .* got 'soon'"),
    "no such day": (entry("match: {model: m}\nuntil: 2026-02-30\nprice: {input_mtok: 1}"), 5, "until must be a date"),
    "until before from": (
        entry("match: {model: m}\nfrom: 2026-02-01\nuntil: 2026-02-01\nprice: {input_mtok: 1}"),
        4,
        "until must be later than from",
    ),
    "no weekday": (entry("match: {model: m}\nweekdays: [noday]\nprice: {input_mtok: 1}"), 5, "weekdays must be days"),
    "no hours": (entry("match: {model: m}\nhours: []\nprice: {input_mtok: 1}"), 5, "must not be empty"),
    "hours that are none": (
        entry('match: {model: m}\nhours: "25:00-26:00"\nprice: {input_mtok: 1}'),
        5,
        "hours must be",
    ),
    "hours without length": (
        entry('match: {model: m}\nhours: "08:00-08:00"\nprice: {input_mtok: 1}'),
        5,
        "hours must be",
    ),
    "hour as a number": (entry("match: {model: m}\nhours: 8\nprice: {input_mtok: 1}"), 5, "hours must be .* got 8"),
    # conflicts
    "the same entry twice": (
        entry("match: {model: SOUND}\nprice: {input_mtok: 2}"),
        4,
        r"\{model: sound\} has an entry already, in line 2",
    ),
    "overlapping dates": (
        (
            "models:\n"
            "- {match: {model: m}, until: 2026-03-02, price: {input_mtok: 1}}\n"
            "- {match: {model: m}, from: 2026-03-01, price: {input_mtok: 2}}\n"
        ),
        3,
        "whose dates overlap, in line 2; let each end",
    ),
    "overlapping hours": (
        (
            "models:\n"
            '- {match: {model: m}, hours: "22:00-02:00", price: {input_mtok: 1}}\n'
            '- {match: {model: m}, hours: "01:00-03:00", weekdays: fri-sat, price: {input_mtok: 2}}\n'
        ),
        3,
        "has an entry already, in line 2",
    ),
    "certain hours after all of them": (
        (
            "models:\n"
            "- {match: {model: m}, price: {input_mtok: 1}}\n"
            '- {match: {model: m}, hours: "01:00-03:00", price: {input_mtok: 2}}\n'
        ),
        3,
        "has an entry already, in line 2",
    ),
    "providers spelt differently": (
        (
            "models:\n"
            "- {match: {provider: azure, model: m}, price: {input_mtok: 1}}\n"
            "- {match: {provider: azure_openai, model: m}, price: {input_mtok: 1}}\n"
        ),
        3,
        "has an entry already, in line 2",
    ),
    "base models in a circle": (
        (
            "models:\n"
            "- {match: {model: a}, base_model: b}\n"
            "- {match: {model: b}, base_model: c}\n"
            "- {match: {model: c}, base_model: a}\n"
        ),
        2,
        "in a circle: {model: a} → {model: b} → {model: c} → {model: a}",
    ),
    "before all years": (
        entry("match: {model: m}\nfrom: 0001-01-01T00:00:00+14:00\nprice: {input_mtok: 1}"),
        5,
        "from must be a date",
    ),
    "after all years": (
        entry("match: {model: m}\nuntil: 9999-12-31T23:59:59-12:00\nprice: {input_mtok: 1}"),
        5,
        "until must be a date",
    ),
    # discounts
    "discount for a pattern of providers": (
        "discounts:\n- {provider: 'open*', multiplier: 0.9}\n",
        2,
        "provider must be a name, not a pattern",
    ),
    "discount for nobody": ("discounts: [{multiplier: 0.9}]\n", 1, "a discount needs 'provider'"),
    "discount of nothing": ("discounts:\n- {provider: openai}\n", 2, "a discount needs 'multiplier'"),
    "discount twice": (
        "discounts:\n- {provider: openai, multiplier: 0.9}\n- {provider: OpenAI, multiplier: 0.8}\n",
        3,
        "has a discount already, in line 2",
    ),
}


@pytest.mark.parametrize(("content", "line", "reason"), BAD.values(), ids=BAD)
def test_a_bad_file_is_refused_with_its_line_and_the_reason(read, tmp_path, content, line, reason):
    with pytest.raises(PriceFileError, match=reason) as caught:
        read(content)
    assert caught.value.line == line
    path = str(tmp_path / "prices.yaml")
    assert str(caught.value) == f"{path}{'' if line is None else f', line {line}'}: {caught.value.reason}"
    assert len(str(caught.value)) < 600


BAD_JSON = {
    "no JSON": ('{"models": [\n}', 2, "is not valid JSON: Expecting value"),
    "yaml in a json file": ("models: []", 1, "is not valid JSON"),
    "not a number": (
        '{\n "models": [\n  {\n   "match": {"model": "m"},\n   "price": {"input_mtok":\n NaN}}]}',
        5,
        "input_mtok .* at least 0, got NaN",
    ),
    "infinite": ('{"models": [{"match": {"model": "m"},\n"price": {"input_mtok": -Infinity}}]}', 2, "got -Infinity"),
    "key twice": ('{"models": [],\n\n"models": []}', 3, "key 'models' is given twice; it is in line 1 already"),
    "unknown key": ('{"models": [{"match": {"model": "m"},\n "cost": {}}]}', 2, "no key 'cost'"),
    "nested deeply": ("[" * 100_000, None, "levels deep"),
    "nested too deeply": ('{"models":\n' + "[" * 20 + "]" * 20 + "}", 2, "levels deep"),
    "a huge number": (
        '{"models": [{"match": {"model": "m"}, "price": {"input_mtok": ' + "9" * 9_999 + "}}]}",
        1,
        "at most",
    ),
    "beyond all measure": (
        '{"models": [{"match": {"model": "m"}, "price": {"input_mtok": 1e9999999999999999999}}]}',
        1,
        "at least 0, got Infinity",
    ),
    "a list": ("[1, 2]", 1, "must be a mapping, got a list"),
    "duplicates": (
        (
            '{"models": [\n{"match": {"model": "m"}, "price": {"input_mtok": 1}},\n'
            '{"match": {"model": "m"}, "price": {"input_mtok": 1}}]}'
        ),
        3,
        "in line 2",
    ),
}


@pytest.mark.parametrize(("content", "line", "reason"), BAD_JSON.values(), ids=BAD_JSON)
def test_a_bad_json_file_is_refused_with_its_line_and_the_reason(read, content, line, reason):
    with pytest.raises(PriceFileError, match=reason) as caught:
        read(content, "prices.json")
    assert caught.value.line == line
    assert len(str(caught.value)) < 600


BAD_DICTIONARIES = {
    "float not a number": ({"models": [{"match": {"model": "m"}, "price": {"input_mtok": math.nan}}]}, "got NaN"),
    "key that is no text": ({1: 2}, "key 1 must be text"),
    "an object": ({"models": [{"match": {"model": "m"}, "price": {"input_mtok": object()}}]}, "must be a number"),
    "an entry is missing": ({"models": [None]}, "an entry of models must be a mapping, got None"),
    "empty": ({}, "is empty"),
}


@pytest.mark.parametrize(("document", "reason"), BAD_DICTIONARIES.values(), ids=BAD_DICTIONARIES)
def test_a_bad_dictionary_is_refused_with_its_name_and_the_reason(document, reason):
    with pytest.raises(PriceFileError, match=f"^cost_overrides: .*{reason}") as caught:
        read_rows(document, name="cost_overrides")
    assert (caught.value.path, caught.value.line) == ("cost_overrides", None)


def test_a_dictionary_that_contains_itself_is_refused():
    document = {}
    document["models"] = document
    with pytest.raises(PriceFileError, match="levels deep"):
        read_rows(document, name="cost_overrides")


def test_files_that_are_none_are_refused(tmp_path):
    for path, reason in (
        (str(tmp_path / "missing.yaml"), "there is no such file"),
        (str(tmp_path), "is a directory"),
        ("/dev/zero", "is not a regular file"),
        ("a\0b", "cannot be read"),
    ):
        with pytest.raises(PriceFileError, match=reason):
            read_price_file(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "prices.yaml")
    with pytest.raises(PriceFileError, match="is not a regular file"):
        read_price_file(str(tmp_path / "prices.yaml"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    path = tmp_path / "prices.yaml"
    path.write_text(FULL)
    path.chmod(0)
    with pytest.raises(PriceFileError, match="cannot be read: Permission denied"):
        read_price_file(str(path))


def test_a_file_of_the_largest_size_is_read(read):
    content = (FULL + "#").encode()
    assert read(content + b"x" * (LARGEST_FILE - len(content))) == FULL_BOOK
    with pytest.raises(PriceFileError, match="is larger than"):
        read(content + b"x" * (LARGEST_FILE - len(content) + 1))


def test_an_error_is_a_settings_error_that_can_be_pickled():
    error = pickle.loads(pickle.dumps(PriceFileError("p.yaml", "is wrong", 3)))  # noqa: S301  (made here)
    assert isinstance(error, SettingsError)
    assert (error.path, error.line, error.reason, str(error)) == ("p.yaml", 3, "is wrong", "p.yaml, line 3: is wrong")


def test_without_pyyaml_json_is_read_and_yaml_says_what_to_install(tmp_path):
    (tmp_path / "p.yaml").write_text("models: [{match: {model: m}, price: {input_mtok: 1}}]")
    (tmp_path / "p.json").write_text('{"models": [{"match": {"model": "m"}, "price": {"input_mtok": 1}}]}')
    code = f"""
    import sys
    sys.modules["yaml"] = None
    from langmeter.pricing.price_files.file import read_price_file
    print(len(read_price_file({str(tmp_path / "p.json")!r}).rows))
    try:
        read_price_file({str(tmp_path / "p.yaml")!r})
    except Exception as error:
        print(error)
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert output[0] == "1"
    assert 'pip install "langmeter[cli]"' in output[1]


# -- windows ---------------------------------------------------------------------------------------------------------

MONDAY = datetime(2026, 11, 16, tzinfo=UTC).timestamp()
DAY, HOUR = 86_400.0, 3_600.0


@pytest.mark.parametrize(
    ("days", "hours", "at", "expected"),
    [
        ("[sat, sun]", None, MONDAY, (False, 0, 5 * DAY)),
        ("[sat, sun]", None, MONDAY + 5 * DAY, (True, 5 * DAY, 7 * DAY)),
        ("[sat, sun]", None, MONDAY + 7 * DAY - 1, (True, 5 * DAY, 7 * DAY)),
        ("sat-sun", None, MONDAY - 1, (True, -2 * DAY, 0)),
        ("fri-mon", None, MONDAY, (True, -3 * DAY, DAY)),
        (None, '"16:30-00:30"', MONDAY, (True, -7.5 * HOUR, 0.5 * HOUR)),
        (None, '"16:30-00:30"', MONDAY + 0.5 * HOUR, (False, 0.5 * HOUR, 16.5 * HOUR)),
        (None, '"16:30-00:30"', MONDAY + 16.5 * HOUR, (True, 16.5 * HOUR, 24.5 * HOUR)),
        (None, '"16:30-24:00"', MONDAY + 23 * HOUR, (True, 16.5 * HOUR, 24 * HOUR)),
        ("mon-fri", "[01:00-04:00, 06:00-10:00]", MONDAY + 4 * HOUR, (False, 4 * HOUR, 6 * HOUR)),
        ("mon-fri", "[01:00-04:00, 06:00-10:00]", MONDAY, (False, -3 * DAY + 10 * HOUR, HOUR)),
        (
            "mon-fri",
            "[01:00-04:00, 06:00-10:00]",
            MONDAY + 4 * DAY + 10 * HOUR,
            (False, 4 * DAY + 10 * HOUR, 7 * DAY + HOUR),
        ),
        ("Monday", '"23:00-01:00"', MONDAY + 0.5 * HOUR, (True, 0, HOUR)),
        ("Monday", '"23:00-01:00"', MONDAY + 23.5 * HOUR, (True, 23 * HOUR, DAY)),
        ("Monday", '"23:00-01:00"', MONDAY + DAY, (False, DAY, 7 * DAY)),
        ("mon-sun", '"00:00-24:00"', MONDAY, (True, -math.inf, math.inf)),
    ],
)
def test_a_window_says_whether_it_holds_and_for_how_long(read, days, hours, at, expected):
    facts = [f"weekdays: {days}"] * bool(days) + [f"hours: {hours}"] * bool(hours)
    (row,) = read("models: [{match: {model: m}, price: {input_mtok: 1}, " + ", ".join(facts) + "}]").rows
    since, until = row.period(at)
    assert (row.holds(at), since - MONDAY, until - MONDAY) == expected
    assert since == -math.inf or row.holds(since - 1) != row.holds(at) == row.holds(since)
    assert until == math.inf or row.holds(until) != row.holds(at) == row.holds(until - 1)


def test_a_dated_window_holds_no_longer_than_its_dates(read):
    (row,) = read(
        "models: [{match: {model: m}, price: {input_mtok: 1}, weekdays: sat-sun, "
        "from: 2026-11-15, until: 2026-11-22T12:00:00Z}]"
    ).rows
    assert row.period(MONDAY - DAY) == (MONDAY - DAY, MONDAY)
    assert row.period(MONDAY - DAY - 1) == (-math.inf, MONDAY - DAY)
    assert row.period(MONDAY + 6 * DAY) == (MONDAY + 5 * DAY, MONDAY + 6 * DAY + 12 * HOUR)
    assert row.period(MONDAY + 6 * DAY + 12 * HOUR) == (MONDAY + 6 * DAY + 12 * HOUR, math.inf)


def test_certain_hours_may_go_before_all_of_them(read):
    book = read(
        "models:\n"
        '- {match: {model: m}, hours: "01:00-03:00", price: {input_mtok: 1}}\n'
        '- {match: {model: m}, hours: "03:00-05:00", price: {input_mtok: 2}}\n'
        "- {match: {model: m}, price: {input_mtok: 3}}\n"
    )
    assert [[row.holds(MONDAY + hour * HOUR) for row in book.rows] for hour in (1, 3, 5)] == [
        [True, False, True],
        [False, True, True],
        [False, False, True],
    ]
