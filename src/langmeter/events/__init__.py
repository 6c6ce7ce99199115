"""The frozen values that travel from LangChain's edge to the sinks.

They know neither LangChain nor OpenTelemetry. All are `NamedTuple`s: as immutable as a frozen dataclass and about five
times cheaper to build, which matters because a model call builds four of them. Money is an integer number of
pico-dollars (1e-12 USD), so that adding never rounds; `Decimal` appears only in the public properties.
"""

from __future__ import annotations

from langmeter.events.calls import (
    CacheLookup,
    CacheStatus,
    Content,
    Failure,
    ModelCall,
    ModelRequest,
    ModelResponse,
    Operation,
    ParameterValue,
    PricedCall,
    PricingTerms,
    ToolCall,
)
from langmeter.events.cost import (
    PICODOLLARS_PER_DOLLAR,
    Cost,
    CostParts,
    CostStatus,
    PriceMatch,
    UnpricedReason,
    usd,
)
from langmeter.events.steps import (
    AgentTotals,
    Step,
    StepKind,
    StepRequest,
)
from langmeter.events.usage import (
    ReportedUsage,
    TokenUsage,
)

__all__ = [
    "PICODOLLARS_PER_DOLLAR",
    "AgentTotals",
    "CacheLookup",
    "CacheStatus",
    "Content",
    "Cost",
    "CostParts",
    "CostStatus",
    "Failure",
    "ModelCall",
    "ModelRequest",
    "ModelResponse",
    "Operation",
    "ParameterValue",
    "PriceMatch",
    "PricedCall",
    "PricingTerms",
    "ReportedUsage",
    "Step",
    "StepKind",
    "StepRequest",
    "TokenUsage",
    "ToolCall",
    "UnpricedReason",
    "usd",
]
