"""The replay server itself: what was recorded is what is served, and a bad recording says how to mend it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from langmeter.demo.replay import Exchange, RecordingError, ReplayServer, Unsupported, acall, call, load, replay_of

CHAT = {
    "id": "chat-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
}
EVENTS = 'data: {"a": "\u2028"}\n\n: a comment\n\ndata: [DONE]\n\nno newline at the end'


def _line(**changes: Any) -> dict[str, Any]:
    plain = {
        "id": "a b/c",
        "provider": "openai",
        "endpoint": "/v1/chat/completions",
        "status": 200,
        "streaming": False,
        "request": {"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.5, "top_k": 3},
        "response_headers": {"content-type": "application/json", "x-request-id": "r", "content-length": "1"},
        "response_body": json.dumps(CHAT),
    }
    return {**plain, **changes}


def _write(directory, *lines: object):
    text = "\n".join(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines)
    (directory / "recorded.jsonl").write_text(text + "\n", encoding="utf-8")
    return directory


def test_bodies_headers_and_status_are_served_as_recorded(tmp_path):
    stream = _line(id="s", streaming=True, response_body=EVENTS, response_headers={"content-type": "text/event-stream"})
    refusal = _line(id="r", status=429, response_body="slow down\n")
    with ReplayServer(_write(tmp_path, _line(), stream, refusal)) as server, httpx.Client() as client:
        answers = [
            client.post(f"{server.base_url}/{path}/anything", json={}) for path in ("a%20b%2Fc", "s", "r", "unknown")
        ]
    assert [(answer.status_code, answer.headers["content-type"]) for answer in answers[:3]] == [
        (200, "application/json"),
        (200, "text/event-stream"),
        (429, "application/json"),
    ]
    assert [answer.text for answer in answers[:3]] == [json.dumps(CHAT), EVENTS, "slow down\n"]
    assert answers[0].headers["x-request-id"] == "r"
    assert answers[3].status_code == 404


def test_calls_say_whether_the_class_succeeded(tmp_path):
    recording = _write(
        tmp_path, _line(), _line(status=429), _line(response_body="not json"), _line(endpoint="/v1/moderations")
    )
    with ReplayServer(recording) as server:
        *answered, other = server.exchanges
        assert [call(exchange, server.base_url) for exchange in answered] == [True, False, False]
        assert [asyncio.run(acall(exchange, server.base_url)) for exchange in answered] == [True, False, False]
        with pytest.raises(Unsupported, match="no installed LangChain class calls /v1/moderations of openai"):
            call(other, server.base_url)


def test_the_request_is_made_as_recorded(tmp_path):
    (exchange,) = load(_write(tmp_path, _line()))
    replay = replay_of(exchange, "http://127.0.0.1:1")
    assert replay.model.model_name == "m"
    assert replay.model.temperature == 0.5
    assert replay.model.openai_api_base == "http://127.0.0.1:1/a%20b%2Fc/v1"
    assert replay.options == {"extra_body": {"top_k": 3}}
    assert [(message.type, message.content) for message in replay.prompt] == [("human", "hi")]


def test_ids_are_made_distinct(tmp_path):
    exchanges = load(_write(tmp_path, _line(id="x"), _line(id="y"), "", _line(id="x")))
    assert [exchange.id for exchange in exchanges] == ["x", "y", "x~2"]
    assert all(isinstance(exchange, Exchange) for exchange in exchanges)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("{", "line 2: Invalid JSON"),
        ("[]", "line 2: "),
        (_line(status="200"), "line 2: field 'status': Input should be a valid integer"),
        ({"id": "x"}, "line 2: field 'provider': Field required"),
    ],
    ids=["cut off", "not an object", "wrong type", "missing field"],
)
def test_a_bad_line_is_named(tmp_path, bad, said):
    with pytest.raises(RecordingError, match="correct or remove this one") as caught:
        load(_write(tmp_path, _line(), bad))
    assert said in str(caught.value)
    assert "recorded.jsonl" in str(caught.value)


def test_an_empty_directory_is_named(tmp_path):
    with pytest.raises(RecordingError, match=r"no \*\.jsonl files in "):
        load(tmp_path)
