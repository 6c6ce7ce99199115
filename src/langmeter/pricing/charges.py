"""What a gateway says that it charged. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langmeter.pricing.reading import dollars, mapping

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langmeter.events import TokenUsage


def gateway_charge(answer: Mapping[str, object], tokens: TokenUsage | None) -> float | None:
    """What a gateway charged, in US dollars; None when none says so."""
    if "cost" in answer:  # langchain-openrouter
        return _openrouter_charge(answer)
    if "response_cost" in answer:  # langchain-litellm
        charge = dollars(answer["response_cost"])
        # litellm says 0 for models that it does not know, so a 0 for tokens that were used is no statement.
        used = tokens is not None and tokens.input_tokens + tokens.output_tokens > 0
        return None if charge == 0 and used else charge
    billing = answer.get("token_usage")  # langchain-openai talking to OpenRouter
    return _openrouter_charge(billing) if type(billing) is dict and "cost" in billing else None


def _openrouter_charge(billing: Mapping[str, object]) -> float | None:
    """OpenRouter's charge, with the upstream provider's bill where the application's own key was used.

    With an own key `cost` is only OpenRouter's fee. The flag `is_byok` does not reach LangChain, but a fee is always a
    small part of the upstream cost, while an ordinary charge is never below it.
    """
    charge = dollars(billing.get("cost"))
    upstream = dollars(mapping(billing.get("cost_details")).get("upstream_inference_cost"))
    if not upstream or billing.get("is_byok") is False:
        return charge
    if charge is None:
        return upstream
    own_key = billing.get("is_byok") is True or upstream > charge
    return charge + upstream if own_key else charge
