"""Reads many records at once: from spans, from mappings, from JSON and JSON Lines files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from langmeter.pricing.whatif.record_keys import RecordError, RecordProblem
from langmeter.pricing.whatif.records import Record, record_in
from langmeter.pricing.whatif.span_records import span_record, spans_in

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

_MAX_PROBLEMS = 100

RecordSource: TypeAlias = "str | os.PathLike[str] | Iterable[Record | Mapping[str, Any] | ReadableSpan]"


@dataclass(frozen=True, slots=True)
class Records(Sequence[Record]):
    """Records that were read, and what could not be. A sequence of the records; immutable."""

    records: tuple[Record, ...]
    skipped: int = 0
    """Records that could not be read."""
    problems: tuple[RecordProblem, ...] = ()
    """Why, for the first hundred of them."""
    passed_over: int = 0
    """Spans that are no model call's, or of calls for which nothing was to be billed."""

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        return self.records[index]


def read(source: RecordSource, *, skip_bad: bool = False) -> Records:
    """The records of a file or of any iterable, in their order.

    Args:
        source: records, mappings as `Record.from_dict` takes them, SDK spans, spans or whole documents of OTLP/JSON, in any
            mixture; or the path of a file of such mappings: one JSON value a line, or one for the whole file if its name
            ends in `.json`.
        skip_bad: leave out what cannot be read, and count it, instead of raising.

    Raises:
        RecordError: with all that could not be read, unless `skip_bad`.
        OSError: the file cannot be opened.
    """
    if isinstance(source, Records):
        return source
    reader = _Reader()
    if isinstance(source, str | os.PathLike):
        reader.read_file(Path(source))
    else:
        for number, item in enumerate(source, 1):
            reader.read(item, "record", number)
    if reader.skipped and not skip_bad:
        raise RecordError(reader.problems, reader.skipped)
    return Records(tuple(reader.records), reader.skipped, tuple(reader.problems), reader.passed_over)


class _Reader:
    """Collects records, problems and counts."""

    __slots__ = ("passed_over", "problems", "records", "skipped")

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.problems: list[RecordProblem] = []
        self.skipped = 0
        self.passed_over = 0

    def read_file(self, path: Path) -> None:
        """Read every line, or the whole of a `.json` file."""
        if path.suffix == ".json":
            self._read_document(path)
            return
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    self._read_text(line, f"{path}, line", number)

    def _read_document(self, path: Path) -> None:
        try:
            document = json.loads(path.read_bytes())
        except ValueError as error:
            self._refuse(f"{path}", f"is no JSON ({error}); if it has one value a line, name it .jsonl")
            return
        for number, item in enumerate(document if isinstance(document, list) else [document], 1):
            self.read(item, f"{path}, entry", number)

    def _read_text(self, text: bytes, place: str, number: int) -> None:
        try:
            item = json.loads(text)
        except ValueError as error:
            self._refuse(f"{place} {number}", f"is no JSON ({error}); every line must be one JSON object")
            return
        self.read(item, place, number)

    def read(self, item: object, place: str, number: int) -> None:
        """Read one record, one span, or the spans of one document."""
        if type(item) is Record:
            self.records.append(item)
            return
        where = f"{place} {number}"
        if isinstance(item, Mapping) and "resourceSpans" in item:
            self._read_spans(item, where)
        elif hasattr(item, "attributes") or (isinstance(item, Mapping) and "attributes" in item):
            self._read_span(item, where)
        elif isinstance(item, Mapping):
            try:
                self.records.append(record_in(item, where))
            except RecordError as error:
                self._keep(error.problems)
        else:
            self._refuse(where, f"is a {type(item).__name__}, not a record, a mapping or a span")

    def _read_spans(self, document: Mapping[str, Any], where: str) -> None:
        try:
            spans = list(spans_in(document))
        except (AttributeError, TypeError) as error:
            self._refuse(where, f"is no OTLP/JSON document ({error})")
            return
        for index, span in enumerate(spans, 1):
            self._read_span(span, f"{where}, span {index}")

    def _read_span(self, span: Any, where: str) -> None:
        try:
            record = span_record(span, where)
        except RecordError as error:
            self._keep(error.problems)
        else:
            if record is None:
                self.passed_over += 1
            else:
                self.records.append(record)

    def _refuse(self, where: str, reason: str) -> None:
        self._keep([RecordProblem(where, None, reason)])

    def _keep(self, problems: Iterable[RecordProblem]) -> None:
        self.skipped += 1
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.extend(problems)
