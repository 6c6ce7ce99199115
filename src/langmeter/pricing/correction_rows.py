"""Known errors of the price table, each with the provider's page. Data only; `corrections` applies it.

At most ten. A row names what the table says wrongly: once the table says anything else the row does nothing, and a test
fails so that the row is deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final, NamedTuple


class Correction(NamedTuple):
    """One model of the table whose prices are known to be wrong.

    Prices have the keys and units of a file of prices: US dollars per million tokens, and per thousand requests.
    """

    providers: tuple[str, ...]
    """The price table's ids: the provider, and those who borrow its price."""
    model: str
    """The price table's id."""
    wrong: Mapping[str, str | None]
    """What the table says; None where it has no price."""
    right: Mapping[str, str]
    source: str
    since: date | None = None
    """First day (UTC) that the row is for."""
    until: date | None = None
    """First day that it is not for any more."""
    names: tuple[str, ...] = ()
    """The names of the model that the row is for; all of them if empty."""


_OPENAI_MODELS: Final = "https://developers.openai.com/api/docs/models"
_PERPLEXITY: Final = "https://docs.perplexity.ai/getting-started/pricing"


def _low_context(model: str, high: str, low: str) -> Correction:
    """Perplexity bills a request by the size of its search context; low is the default, the table has the fee for high."""
    return Correction(("perplexity",), model, {"requests_kcount": high}, {"requests_kcount": low}, _PERPLEXITY)


CORRECTIONS: Final = (
    Correction(
        ("openai", "azure"),
        "gpt-4o-mini-audio-preview",
        wrong={"input_audio_mtok": None, "output_audio_mtok": None},
        right={"input_audio_mtok": "10", "cache_audio_read_mtok": "10", "output_audio_mtok": "20"},
        source=f"{_OPENAI_MODELS}/gpt-4o-mini-audio-preview",
    ),
    Correction(
        ("openai", "azure"),
        "gpt-4o-audio-preview",
        wrong={"input_audio_mtok": None, "output_audio_mtok": None},
        right={"input_audio_mtok": "40", "cache_audio_read_mtok": "40", "output_audio_mtok": "80"},
        source=f"{_OPENAI_MODELS}/gpt-4o-audio-preview",
        # The first snapshot, of October 2024, was dearer; no page names its price any more.
        names=("gpt-4o-audio-preview", "gpt-4o-audio-preview-2024-12-17", "gpt-4o-audio-preview-2025-06-03"),
    ),
    Correction(
        ("anthropic", "azure"),
        "claude-sonnet-5-5",
        wrong={"cache_read_mtok": "0.1"},
        right={"cache_read_mtok": "0.2"},
        source="https://platform.claude.com/docs/en/about-claude/pricing",
        until=date(2026, 10, 7),  # Anthropic halved the price of cache reads that day
    ),
    Correction(
        ("deepseek",),
        "deepseek-v4-flash",
        # The table has a single price for peak hours, that of V4.1, which took the place of V4 on 2026-09-10.
        wrong={"input_mtok": "0.3", "cache_read_mtok": "0.006", "output_mtok": "1.2"},
        right={"input_mtok": "0.44", "cache_read_mtok": "0.014", "output_mtok": "1.32"},
        source="https://api-docs.deepseek.com/quick_start/pricing",
        since=date(2026, 8, 17),
        until=date(2026, 9, 10),
    ),
    _low_context("sonar", "12", "5"),
    _low_context("sonar-reasoning", "12", "5"),
    _low_context("sonar-pro", "14", "6"),
    _low_context("sonar-reasoning-pro", "14", "6"),
)

# -- what no price by model and date can say -------------------------------------------------------------------------

RESIDENCY_SOURCE: Final = "https://platform.claude.com/docs/en/manage-claude/data-residency"
RESIDENCY: Final = {("anthropic", "geo-us"): "1.1"}
"""By provider and tier, what every price is multiplied with; the table has no prices for a place of inference."""

OFF_PEAK_SOURCE: Final = "https://api-docs.deepseek.com/quick_start/pricing"
OFF_PEAK_MODELS: Final = frozenset({"deepseek-flash", "deepseek-v4-flash", "deepseek-v4-pro"})
PEAK_HOURS: Final = ((1, 4), (6, 10))
"""UTC, from Monday to Friday. The table has them for every day and every date."""
OFF_PEAK_HOUR: Final = 12
PEAK_SINCE: Final = date(2026, 8, 17)
"""Until then the price was the same at all hours."""
OFF_PEAK_WEEKENDS_SINCE: Final = date(2026, 8, 23)
CHINESE_HOLIDAYS: Final = frozenset(
    {date(2026, 9, 25), *(date(2026, 10, day) for day in range(1, 8)), date(2027, 1, 1)}
)
"""Public holidays are off-peak all day. Those of 2027 are added when they are announced; New Year's Day is always one."""
