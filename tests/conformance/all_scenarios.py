"""Every scenario: importing a module of scenarios registers them."""

from __future__ import annotations

import agent_scenarios
import chain_scenarios
import graph_scenarios
import model_scenarios
import tool_scenarios
from scenario import SCENARIOS

MODULES = (model_scenarios, tool_scenarios, agent_scenarios, graph_scenarios, chain_scenarios)

__all__ = ["MODULES", "SCENARIOS"]
