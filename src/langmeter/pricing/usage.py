"""What the provider billed, read from LangChain's usage figures with every integration's peculiarities undone.

`input_tokens` of LangChain includes cached and cache-written tokens, `output_tokens` includes reasoning, but not every
integration keeps to it: `repairs` names those that do not. Pure; nothing raises; any thread may call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langmeter.events import ReportedUsage, TokenUsage
from langmeter.pricing.charges import gateway_charge
from langmeter.pricing.reading import LARGEST_COUNT, mapping
from langmeter.pricing.repairs import repaired
from langmeter.pricing.tiers import billed_tier

if TYPE_CHECKING:
    from collections.abc import Mapping

_build = tuple.__new__
"""Builds a named tuple from all its fields at once: half the time of its constructor, which counts here."""


def reported_usage(
    usage_metadata: Mapping[str, object] | None,
    response_metadata: Mapping[str, object] | None = None,
    *,
    service_tier: str | None = None,
    processing: str | None = None,
    speed: str | None = None,
) -> ReportedUsage:
    """Billed tokens, tier and gateway charge of one answer.

    Figures that the provider did not send stay None; contradictory ones are clamped and marked (`consistent=False`).

    Args:
        usage_metadata: `AIMessage.usage_metadata`.
        response_metadata: `AIMessage.response_metadata`: tier, residency and, from gateways, the charge.
        service_tier: the tier asked for; what the answer says goes before it.
        processing: `batch` for the Batch API, which no answer mentions.
        speed: `fast` for Anthropic's fast mode; what the answer says goes before it.

    Returns:
        `tokens` is None when input or output is missing: a zero is never invented. Any garbage gives an empty value.
    """
    try:
        usage = usage_metadata if type(usage_metadata) is dict else mapping(usage_metadata)
        answer = response_metadata if type(response_metadata) is dict else mapping(response_metadata)
        tokens, prefix = _ordinary(usage), None
        if tokens is None and usage:
            tokens, prefix = repaired(usage)
        tier, charge = prefix, None
        final, fast = prefix is not None, False
        # Most answers say nothing about tier and charge; a call each to find that out would cost a tenth of the whole.
        if "usage" in answer or "serviceTier" in answer or service_tier or processing or speed:
            tier, final, fast = billed_tier(prefix, answer, service_tier, processing, speed)
        elif "service_tier" in answer:
            if answer["service_tier"] == "default":
                final = True
            else:
                tier, final, fast = billed_tier(prefix, answer, None, None, None)
        billing = answer.get("token_usage")
        if "cost" in answer or "response_cost" in answer or (type(billing) is dict and "cost" in billing):
            charge = gateway_charge(answer, tokens)
        replayed = "total_cost" in usage and _is_zero(usage["total_cost"])
        return _build(ReportedUsage, (tokens, tier, charge, replayed, final, fast))
    except Exception:  # noqa: BLE001  (values of the application may raise from any method; the usage is unknown then)
        return ReportedUsage()


def _is_zero(value: object) -> bool:
    """True for the mark that langchain-core puts on an answer from its response cache."""
    return type(value) in (int, float) and value == 0


def _ordinary(usage: Mapping[str, object]) -> TokenUsage | None:  # noqa: C901, PLR0911, PLR0912  (see below)
    """The counts when nothing about them is peculiar, None otherwise: the short way for nearly every call.

    Gives exactly what `repaired` gives, in a fifth of the time. It is one function of one pass, because calls and tuples in
    between would cost a third more.
    """
    try:
        billed, output = usage["input_tokens"], usage["output_tokens"]
        if type(billed) is not int or type(output) is not int or usage["total_tokens"] != billed + output:
            return None
    except KeyError:
        return None
    read = write = hour = five_minutes = audio_in = reasoning = audio_out = None
    details = usage.get("input_token_details")
    if details:
        if type(details) is not dict:
            return None
        for key, count in details.items():
            if type(count) is not int or count < 0:
                return None
            if key == "cache_read":
                read = count
            elif key == "audio":
                audio_in = count
            elif key == "cache_creation":
                write = count
            elif key == "ephemeral_5m_input_tokens":
                five_minutes = count
            elif key == "ephemeral_1h_input_tokens":
                hour = count
            else:
                return None
        if five_minutes is not None or hour is not None:
            write = (write or 0) + (five_minutes or 0) + (hour or 0)
        if (read or 0) + (write or 0) > billed or (audio_in is not None and audio_in > billed):
            return None
    details = usage.get("output_token_details")
    if details:
        if type(details) is not dict:
            return None
        for key, count in details.items():
            if type(count) is not int or not 0 <= count <= output:
                return None
            if key == "reasoning":
                reasoning = count
            elif key == "audio":
                audio_out = count
            else:
                return None
    if billed < 0 or output < 0 or billed + output >= LARGEST_COUNT:
        return None
    return _build(
        TokenUsage, (billed, output, read, write, hour, reasoning, None, None, audio_in, None, None, audio_out, True)
    )
