"""Images, sound, films and files of messages, as references: what they are, where they are, how large; never their data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from langmeter.langchain.parts import Part, text_part

_BASE64_BYTES: Final = 3 / 4
_LONGEST_ADDRESS: Final = 2_048
_LONGEST_MIME_TYPE: Final = 128
_MODALITIES: Final = {"image": "image", "audio": "audio", "video": "video"}
_FILE_KEYS: Final = ("file_id", "fileId", "id")
_ADDRESS_KEYS: Final = ("url", "file_url", "file_uri", "uri")
_SOURCE_KEYS: Final = (*_FILE_KEYS, *_ADDRESS_KEYS, "base64", "data", "file_data", "bytes", "text")
_HOLDERS: Final = ("image_url", "input_audio", "file", "source", "video_url", "audio_url")


def omitted_blob(modality: str, data: Any, mime_type: Any = None) -> Part:
    """What stands for encoded data: the conventions' `blob` part without its content, under a name of its own."""
    part: Part = {"type": "omitted_blob", "modality": modality}
    if isinstance(mime_type, str) and mime_type:
        part["mime_type"] = mime_type
    if isinstance(data, str):
        # Found, not split off: the data may be megabytes.
        start = data.find(",") + 1 if data[:5].lower() == "data:" else 0
        part["size"] = max(0, int((len(data) - start) * _BASE64_BYTES) - data[-2:].count("="))
    elif isinstance(data, bytes | bytearray):
        part["size"] = len(data)
    return part


def _address(modality: str, address: str, mime_type: Any = None) -> Part:
    """An address that may be shown; a `data:` URL is no address, and neither is anything else that nothing can follow."""
    if address[:5].lower() == "data:":
        head = address[5:_LONGEST_MIME_TYPE].partition(",")[0]
        return omitted_blob(modality, address, mime_type or head.partition(";")[0])
    if len(address) > _LONGEST_ADDRESS or "://" not in address:
        return omitted_blob(modality, address, mime_type)  # Ollama takes bare base64
    try:
        split = urlsplit(address)
    except ValueError:  # brackets that are no IPv6 address
        return omitted_blob(modality, None, mime_type)
    host = split.netloc.rpartition("@")[2]
    part = {"type": "uri", "modality": modality, "uri": urlunsplit((split.scheme, host, split.path, "", ""))}
    return {**part, "mime_type": mime_type} if isinstance(mime_type, str) and mime_type else part


def media_part(block: Mapping[str, Any]) -> Part | None:
    """An image, sound, film or file in any of the forms of LangChain, OpenAI, Anthropic, Google and Ollama; else None."""
    kind = str(block.get("type"))
    mime_type = block.get("mime_type") or block.get("media_type")
    modality = _modality(kind, mime_type)
    found = _first_source(block, modality, mime_type)
    for key in _HOLDERS:
        inner = block.get(key)
        if found is None and isinstance(inner, str):
            found = _address(modality, inner, mime_type)
        elif found is None and isinstance(inner, Mapping):
            own = inner.get("media_type") or inner.get("mime_type") or mime_type_of(modality, inner.get("format"))
            found = _told(inner) or _first_source(inner, modality, own or mime_type)
    if found is not None and isinstance(block.get("transcript"), str):
        found["transcript"] = block["transcript"]
    return found


def _told(source: Mapping[str, Any]) -> Part | None:
    """Anthropic's documents may hold text."""
    data, content = source.get("data"), source.get("content")
    if source.get("type") == "text" and isinstance(data, str):
        return text_part(data)
    if source.get("type") != "content":
        return None
    blocks = content if isinstance(content, list) else [{"text": content}]
    texts = [block.get("text") for block in blocks if isinstance(block, Mapping)]
    return text_part("\n".join([text for text in texts if isinstance(text, str)]))


def _first_source(block: Mapping[str, Any], modality: str, mime_type: Any) -> Part | None:
    """The reference or the data that a block has, whichever comes first in this order: id, address, data."""
    given = {key: block[key] for key in _SOURCE_KEYS if isinstance(block.get(key), str | bytes) and block[key]}
    if block.get("source_type") == "text" and isinstance(given.get("text"), str):
        return text_part(given["text"])
    if block.get("source_type") != "id":
        given.pop("id", None)
    for key, value in given.items():
        if key in _FILE_KEYS:
            return _file(modality, value, mime_type)
        if key in _ADDRESS_KEYS or (key != "text" and isinstance(value, str) and value[:5].lower() == "data:"):
            return _address(modality, value, mime_type)
        if key != "text":
            return omitted_blob(modality, value, mime_type)
    return None


def _file(modality: str, file_id: str, mime_type: Any) -> Part:
    part: Part = {"type": "file", "modality": modality, "file_id": file_id}
    return {**part, "mime_type": mime_type} if isinstance(mime_type, str) and mime_type else part


def _modality(kind: str, mime_type: Any) -> str:
    head = mime_type.partition("/")[0] if isinstance(mime_type, str) else ""
    if head in _MODALITIES:
        return head
    return next((modality for part, modality in _MODALITIES.items() if part in kind), "document")


def mime_type_of(modality: str, form: Any) -> str | None:
    """The MIME type of a bare format such as `png`."""
    if not isinstance(form, str) or not form:
        return None
    return f"{'application' if modality == 'document' else modality}/{form}"
