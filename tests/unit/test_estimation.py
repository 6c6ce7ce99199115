"""Estimates: how far they are off for each script, what is read in messages, what is learnt, and what is never done."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
from decimal import Decimal
from uuid import UUID

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult
from langchain_core.prompt_values import ChatPromptValue
from opentelemetry._logs import NoOpLoggerProvider
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider

import langmeter
from langmeter.events import Cost, CostParts, ModelRequest, ModelResponse
from langmeter.langchain.content_size import CallContent
from langmeter.observer import Observer, Providers
from langmeter.pricing import calibration
from langmeter.pricing.calibration import Calibration
from langmeter.pricing.content_size import ContentSize, prompt_size
from langmeter.pricing.estimate import estimate, estimated_input
from langmeter.pricing.scripts import ScriptTokens, script_tokens
from langmeter.pricing.tokenizer import Tokenizer
from langmeter.settings import Settings

ENGLISH_TEXT = (
    "The keeper of the lighthouse climbed the stairs every evening and lit the lamp before the first ships came in. "
    "Nobody in the village knew how old he was, and nobody had ever asked him. When the storm of that winter took the "
    "roof of the church, he was the only one who had seen it coming."
)
GERMAN_TEXT = (
    "Der Leuchtturmwärter stieg jeden Abend die Treppe hinauf und zündete die Lampe an, bevor die ersten Schiffe "
    "einliefen. Niemand im Dorf wusste, wie alt er war, und niemand hatte ihn je danach gefragt. Als der Wintersturm "
    "das Kirchendach abdeckte, war er der Einzige, der ihn hatte kommen sehen."
)
RUSSIAN_TEXT = (
    "Смотритель маяка каждый вечер поднимался по лестнице и зажигал лампу, прежде чем приходили первые корабли. "
    "Никто в деревне не знал, сколько ему лет, и никто никогда его об этом не спрашивал."  # noqa: RUF001  (Cyrillic)
)
CHINESE_TEXT = (
    "灯塔看守人每天傍晚都会爬上楼梯，在第一批船只进港之前点亮灯火。村里没有人知道他的年纪，也从来没有人问过他。"  # noqa: RUF001  (Chinese punctuation)
    "那年冬天的暴风雨掀翻了教堂的屋顶，只有他一个人事先看出了征兆。"  # noqa: RUF001  (Chinese punctuation)
)
JAPANESE_TEXT = (
    "灯台守は毎晩階段を上り、最初の船が入ってくる前に明かりを灯した。村の誰も彼の年齢を知らず、誰も尋ねたことがなかった。"
    "その冬の嵐が教会の屋根を吹き飛ばしたとき、それを予感していたのは彼だけだった。"
)
DIGITS = (
    "2026-11-22 08:15:42 17 4096 0.0025 118000 31415926 27182818 1.41421356 602214076 8675309 42 1024 65536 4294967296"
)
CODE = """def mean(values: list[float]) -> float:
    if not values:
        raise ValueError('no values')
    total = 0.0
    for value in values:
        total += value
    return total / len(values)


class Counter:
    def __init__(self):
        self.count = 0
"""
# Tokens that OpenAI's o200k_base makes of it, and how far off the raw estimate may be.
TEXTS = {
    "English": (ENGLISH_TEXT, 62, 0.2),
    "German": (GERMAN_TEXT, 77, 0.1),
    "Russian": (RUSSIAN_TEXT, 52, 0.1),
    "Chinese": (CHINESE_TEXT, 74, 0.25),
    "Japanese": (JAPANESE_TEXT, 84, 0.25),
    "digits": (DIGITS, 60, 0.55),
    "code": (CODE, 67, 0.1),
    "emoji": ("😀🎉🚀🌍🔥👍🙏💡📈🧪🎯🛠🌊🏔🚲🍀🐢🦊🎻📚", 39, 0.7),
}
CALL = {"name": "find", "args": {"q": "Rome"}, "id": "call-1", "type": "tool_call"}
FUNCTION = {"name": "find", "arguments": '{"q": "Rome"}'}
TEXT_BLOCK = {"type": "text", "text": "x" * 40}
CALL_TOKENS = 4 + (len("find") + len('{"q": "Rome"}')) / 4
SCHEMA = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}
SCHEMA_LENGTH = len('{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}')


# -- texts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "tokens", "bound"), TEXTS.values(), ids=TEXTS)
def test_every_script_is_estimated_within_its_bound(text, tokens, bound):
    assert abs(sum(script_tokens([text])) / tokens - 1) <= bound


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], ScriptTokens()),
        ([""], ScriptTokens()),
        (["x" * 400, "y" * 4], ScriptTokens(latin=101)),
        (["äöü" + "x" * 397], ScriptTokens(latin=100)),
        (["и" * 390], ScriptTokens(alphabetic=100)),
        (["字" * 145], ScriptTokens(dense=100)),
        (["x" * 1_024 + "字" * 1_024], ScriptTokens(latin=256, dense=1_024 / 1.45)),
        (["\ud800" * 145], ScriptTokens(dense=100)),
    ],
    ids=["nothing", "empty", "ASCII", "umlauts", "Cyrillic", "Chinese", "one after the other", "lone surrogates"],
)
def test_the_raw_estimate(texts, expected):
    assert script_tokens(texts) == pytest.approx(expected)


@pytest.mark.parametrize("pieces", [1, 7, 400])
def test_a_long_text_is_sampled_to_nearly_the_same_figure(pieces):
    half = ("The quick brown fox. " * 4_800)[:100_000] + "敏捷的棕色狐狸跳过" * 11_111
    size = len(half) // pieces + 1
    texts = [half[start : start + size] for start in range(0, len(half), size)]
    whole = 100_000 / 4 + 99_999 / 1.45
    assert sum(script_tokens(texts)) == pytest.approx(whole, rel=0.05)


# -- messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "raw"),
    [
        (["x" * 40], 14),
        ([HumanMessage("x" * 40)], 14),
        (HumanMessage("x" * 40), 14),
        ([("human", "x" * 40)], 14),
        (("human", "x" * 40), 14),
        ([{"role": "user", "content": "x" * 40}], 14),
        ([SystemMessage("x" * 40), HumanMessage("x" * 40), ToolMessage("x" * 40, tool_call_id="1")], 42),
        ([HumanMessage(["x" * 40, {"type": "text", "text": "x" * 40, "id": "y" * 400}])], 24),
        ([AIMessage("", tool_calls=[CALL])], 4 + CALL_TOKENS),
        ([AIMessage([{"type": "tool_use", "name": "find", "input": {"q": "Rome"}, "id": "1"}])], 4 + CALL_TOKENS),
        (
            [AIMessage([{"type": "tool_use", "name": "find", "input": {"q": "Rome"}, "id": "1"}], tool_calls=[CALL])],
            4 + CALL_TOKENS,
        ),
        ([{"role": "assistant", "tool_calls": [{"function": FUNCTION}], "content": None}], 4 + CALL_TOKENS),
        ([AIMessage("", additional_kwargs={"function_call": FUNCTION})], 4 + CALL_TOKENS),
        ([HumanMessage([{"type": "tool_result", "tool_use_id": "z" * 99, "content": [TEXT_BLOCK]}])], 14),
        ([HumanMessage([{"type": "document", "source": {"type": "text", "data": "x" * 40}}])], 14),
        ([AIMessage("", additional_kwargs={"refusal": "x" * 40})], 14),
        ([], 0),
    ],
    ids=[
        "text", "message", "one message", "pair", "one pair", "mapping", "several", "blocks", "tool call", "tool use",
        "tool call in content too", "call of OpenAI's API", "function call", "tool result", "text document", "refusal",
        "none",
    ],
)  # fmt: skip
def test_what_is_counted_in_messages(messages, raw):
    size = prompt_size(messages)
    assert size is not None
    assert size.raw == pytest.approx(raw)


@pytest.mark.parametrize(
    ("block", "tokens"),
    [
        ({"type": "image_url", "image_url": {"url": "data:" + "A" * 10_000}}, 765),
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}, 85),
        ({"type": "image", "source": {"type": "base64", "data": "A" * 10_000}}, 765),
        ({"type": "tool_result", "content": [{"type": "image", "base64": "A" * 10_000}]}, 765),
    ],
    ids=["URL", "low detail", "base64", "in a tool's result"],
)
def test_an_image_counts_by_a_flat_figure_whatever_its_bytes(block, tokens):
    assert prompt_size([HumanMessage([block])]) == ContentSize(ScriptTokens(), 4, tokens)


@pytest.mark.parametrize("kind", ["audio", "input_audio", "video", "file", "media", "document"])
def test_content_whose_size_nothing_tells_has_no_size(kind):
    assert prompt_size([HumanMessage([{"type": "text", "text": "x"}, {"type": kind, "base64": "A" * 99}])]) is None


def test_schemas_count_as_json_and_many_by_the_first_sixteen():
    one, many = prompt_size([], [[SCHEMA]]), prompt_size([], [[SCHEMA] * 40])
    assert one is not None
    assert many is not None
    assert (one.raw, one.has_schemas) == (SCHEMA_LENGTH / 4, True)
    assert many.raw == pytest.approx(40 * SCHEMA_LENGTH / 4)


def test_no_code_of_the_application_is_run():
    class Trap:
        content = property(lambda self: 1 / 0)
        __str__ = __repr__ = lambda self: 1 / 0

    with pytest.raises(langmeter.SettingsError, match="item 0 of the messages is a Trap without content"):
        estimate([Trap()], provider="openai", model="gpt-4o")
    assert prompt_size([], [[{"name": "x", "default": Trap()}]]) is not None


def test_the_size_of_an_answer():
    chat = LLMResult(generations=[[ChatGeneration(message=AIMessage("x" * 40)) for _ in range(2)]])
    call = AIMessageChunk("", tool_call_chunks=[{"name": "find", "args": '{"q": "Ro', "id": "1", "index": 0}])
    content = CallContent("prompt", None)
    assert content.answer(chat) == ContentSize(ScriptTokens(latin=20))
    assert content.answer(LLMResult(generations=[[Generation(text="x" * 40)]])) == ContentSize(ScriptTokens(latin=10))
    cut_off = content.answer(LLMResult(generations=[[ChatGeneration(message=call)]]))
    assert cut_off == ContentSize(ScriptTokens(latin=(4 + 9) / 4), 4)
    assert content.answer(None) == ContentSize()


# -- what is learnt -----------------------------------------------------------------------------------------------------

ENGLISH = ContentSize(ScriptTokens(latin=1_000))
CHINESE = ContentSize(ScriptTokens(dense=1_000))


def learnt(*rows) -> Calibration:
    table = Calibration()
    for kind, tokens, size in rows:
        table.learn("openai", "m", kind, tokens, size)
    return table


def test_a_factor_is_learnt_for_its_script_and_its_model_only():
    table = learnt(*[("input", 1_350, ENGLISH)] * 20)
    assert table.tokens("openai", "m", "input", ENGLISH) == pytest.approx(1_350, rel=0.01)
    assert table.tokens("openai", "m", "input", CHINESE) == 1_000
    assert table.tokens("openai", "other", "input", ENGLISH) == 1_000
    assert table.tokens("azure", "m", "input", ENGLISH) == 1_000


def test_one_short_call_teaches_next_to_nothing():
    table = learnt(("input", 14, ContentSize(ScriptTokens(latin=4))))
    assert 1_000 < table.tokens("openai", "m", "input", ENGLISH) < 1_300


def test_answers_stand_in_for_prompts_and_the_other_way_round():
    assert learnt(*[("output", 1_350, ENGLISH)] * 20).tokens("openai", "m", "input", ENGLISH) == pytest.approx(
        1_350, rel=0.01
    )
    both = learnt(*[("output", 700, ENGLISH)] * 20, *[("input", 1_350, ENGLISH)] * 20)
    assert both.tokens("openai", "m", "output", ENGLISH) == pytest.approx(700, rel=0.01)
    assert both.tokens("openai", "m", "tools", ENGLISH) == pytest.approx(1_350, rel=0.01)


@pytest.mark.parametrize(
    "size",
    [
        ContentSize(ScriptTokens(latin=1_000), image_tokens=765),
        ContentSize(ScriptTokens(latin=500, dense=500)),
        ContentSize(),
        ContentSize(ScriptTokens(latin=1)),
    ],
    ids=["images", "two scripts", "nothing", "a prompt that we cannot see"],
)
def test_what_teaches_nothing(size):
    table = learnt(("input", 1_350, size))
    assert table.tokens("openai", "m", "input", ENGLISH) == 1_000


def test_images_are_never_scaled():
    table = learnt(*[("input", 2_000, ENGLISH)] * 20)
    mixed = ENGLISH._replace(image_tokens=765)
    assert table.tokens("openai", "m", "input", mixed) == pytest.approx(2_000 + 765, rel=0.01)


def test_what_was_learnt_last_counts_most():
    table = learnt(*[("input", 1_000, ENGLISH)] * 500, *[("input", 1_500, ENGLISH)] * 100)
    assert table.tokens("openai", "m", "input", ENGLISH) > 1_400


def test_the_first_twenty_calls_of_a_model_teach_and_then_every_32nd():
    table = Calibration()
    due = [table.is_due("openai", "m") for _ in range(128)]
    assert [number for number, is_due in enumerate(due, start=1) if is_due] == [*range(1, 21), 32, 64, 96, 128]


def test_models_are_bounded():
    table = Calibration()
    for number in range(5_000):
        table.is_due("openai", f"ft:{number}")
    assert len(table) <= 1_024


def test_hidden_reasoning_is_its_average():
    table = Calibration()
    for tokens in (0, 300):
        table.learn_reasoning("openai", "m", tokens)
    assert (table.reasoning("openai", "m"), table.reasoning("openai", "other")) == (150, 0)


def test_the_content_of_a_call_is_let_go_of_when_it_has_ended():
    """By the open call itself: while the providers are being set up it is kept for its span."""
    observer = Observer(
        Settings(bootstrap="never"), Providers(NoOpTracerProvider(), NoOpMeterProvider(), NoOpLoggerProvider())
    )
    call = observer.begin(UUID(int=1), None, ModelRequest("chat", "openai", "gpt-4o"))
    assert call is not None
    call.content, call.answer = CallContent("x" * 40, None), LLMResult(generations=[])
    observer.end(UUID(int=1), ModelResponse())
    assert (call.content, call.answer) == (None, None)


# -- langmeter.estimate -------------------------------------------------------------------------------------------------


def test_an_estimate_has_input_and_output_at_the_published_price():
    cost = estimate([("system", "x" * 40), ("human", "x" * 40)], provider="openai", model="gpt-4o", max_tokens=100)
    assert (cost.status, cost.source, cost.match) == ("estimated", "genai-prices", "exact")
    assert cost.parts == CostParts(input=28 * 2_500_000, output=100 * 10_000_000)
    assert cost.amount == Decimal("0.00107")


def test_without_a_limit_the_output_is_not_in_it():
    assert estimate("x" * 40, provider="openai", model="gpt-4o").parts == CostParts(input=14 * 2_500_000)


@pytest.mark.parametrize(
    "value",
    ["x" * 40, ChatPromptValue(messages=[HumanMessage("x" * 40)]), [HumanMessage("x" * 40)]],
    ids=["text", "prompt value", "messages"],
)
def test_what_may_be_estimated(value):
    assert estimated_input(value, provider="openai", model="gpt-4o") == 14


def test_an_estimate_uses_what_this_process_has_learnt():
    for _ in range(20):
        calibration.shared.learn("openai", "gpt-4o", "input", 2_000, ENGLISH)
    assert estimated_input("x" * 4_000, provider="openai", model="gpt-4o") == pytest.approx(2_008, rel=0.01)


def test_an_unknown_model_and_unmeasurable_messages_are_unpriced():
    assert estimate("x", provider="openai", model="model-of-nobody") == Cost("unpriced", reason="unknown_model")
    sound = [HumanMessage([{"type": "audio", "base64": "A"}])]
    assert estimate(sound, provider="openai", model="gpt-4o") == Cost("unpriced", reason="no_usage")


@pytest.mark.parametrize("wrong", [-1, 1.5, "9", True])
def test_a_wrong_limit_is_refused(wrong):
    with pytest.raises(langmeter.SettingsError, match="max_tokens must be a whole number of at least 0, got "):
        estimate("x", provider="openai", model="gpt-4o", max_tokens=wrong)


@pytest.mark.parametrize("wrong", [7, None, [HumanMessage("x"), 7], {"role": "user"}])
def test_what_is_no_message_is_refused(wrong):
    with pytest.raises(langmeter.SettingsError, match=r"of the messages is a .* without content: give a text"):
        estimate(wrong, provider="openai", model="gpt-4o")


def test_it_works_without_langchain():
    code = (
        "import sys; from langmeter.pricing.estimate import estimate;"
        "print(estimate([{'role': 'user', 'content': 'hi'}], provider='openai', model='gpt-4o').status,"
        "'langchain_core' in sys.modules, 'tiktoken' in sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert finished.stdout.split() == ["estimated", "False", "False"]


# -- tokenizer ----------------------------------------------------------------------------------------------------------

TABLE = "fb374d419588a4632f3f557e76b4b70aebbca790"
"""The name of tiktoken's file for o200k_base."""


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_args, **_options):
        pytest.fail("a connection was attempted")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def tables(monkeypatch, tmp_path):
    """An empty directory of tables, and none in memory."""
    registry = pytest.importorskip("tiktoken.registry")
    monkeypatch.setattr(registry, "ENCODINGS", {})
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("no_network")
def test_without_a_table_nothing_is_counted_fetched_or_written(tables):
    assert Tokenizer(download=False).count("gpt-4o", ["hello"]) is None
    assert list(tables.iterdir()) == []


@pytest.mark.usefixtures("no_network")
def test_a_table_in_memory_is_used(tables):
    import tiktoken
    from tiktoken import registry

    bytes_only = {bytes([number]): number for number in range(256)}
    registry.ENCODINGS["o200k_base"] = tiktoken.Encoding(
        "o200k_base", pat_str=r".|\n", mergeable_ranks=bytes_only, special_tokens={"<|endoftext|>": 256}
    )
    tokenizer = Tokenizer(download=False)
    assert tokenizer.count("gpt-4o", ["hello", "<|endoftext|>"]) == 5 + 13
    assert tokenizer.count("openai/gpt-oss-20b", ["hello"]) == 5
    assert tokenizer.count("gpt-3.5-turbo", ["hello"]) is None
    assert tokenizer.count("claude-opus-5", ["hello"]) is None


@pytest.mark.usefixtures("no_network")
def test_a_damaged_table_is_left_alone(tables):
    (tables / TABLE).write_bytes(b"aGVsbG8= 0\n")
    assert Tokenizer(download=False).count("gpt-4o", ["hello"]) is None
    assert (tables / TABLE).read_bytes() == b"aGVsbG8= 0\n"


def test_a_download_that_fails_is_not_tried_again(tables, monkeypatch):
    asked = []

    def refuse(address, timeout):
        asked.append((address, timeout))
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    tokenizer = Tokenizer(download=True)
    assert [tokenizer.count("gpt-4o", ["hello"]) for _ in range(3)] == [None] * 3
    assert asked == [("https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken", 10)]
    assert list(tables.iterdir()) == []


def test_the_file_name_is_tiktokens():
    address = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
    assert hashlib.sha1(address.encode()).hexdigest() == TABLE  # noqa: S324  (tiktoken's rule)
