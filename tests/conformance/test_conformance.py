"""Every scenario, with every provider that it applies to, held against the tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import accounts
import checker
import pytest
from all_scenarios import SCENARIOS
from documented_exceptions import undocumented
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from scenario import NAMES, Scenario, Tree, World
from shaped_servers import AnthropicShaped, OpenAIShaped, ShapedServer
from terms import Output, Terms

import langmeter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langmeter import Usage

pytestmark = [
    # langchain-openai adds up the usage of `generate` and stumbles over details that the provider left out.
    pytest.mark.filterwarnings("ignore:Unexpected type for token usage"),
    pytest.mark.filterwarnings("ignore:The model 'claude:DeprecationWarning"),
]

RUNS = {
    f"{name}/{shape}/{mode}": (name, shape, mode)
    for name, scenario in SCENARIOS.items()
    for shape in scenario.shapes
    for mode in scenario.modes
}
# Each variant once per scenario and provider: synchronous with one of them, asynchronous with the other.
VARIANT_RUNS = {
    run: parts
    for run, parts in RUNS.items()
    if parts[2] == ("sync" if parts[1] == "openai" else "async") or len(SCENARIOS[parts[0]].modes) == 1
}


class _Starts(SpanProcessor):
    """What each span has when it starts, which is all that a sampler sees."""

    def __init__(self) -> None:
        self.seen: dict[int, dict[str, Any]] = {}

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.seen[span.context.span_id] = dict(span.attributes)


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, ShapedServer]]:
    with OpenAIShaped() as openai, AnthropicShaped() as anthropic:
        yield {"openai": openai, "anthropic": anthropic}


@pytest.fixture
def observe(servers, make_telemetry, instrument) -> Callable[..., tuple[Output, Usage]]:
    """`observe(run, sampler, **settings)`: what comes out of one run of a scenario."""

    def observe(
        run: tuple[str, str, str], sampler: Any = ALWAYS_ON, attribution: dict[str, str] | None = None, **settings: Any
    ) -> tuple[Output, Usage]:
        name, shape, mode = run
        servers[shape].reset()
        telemetry, starts = make_telemetry(sampler), _Starts()
        telemetry.tracer_provider.add_span_processor(starts)
        instrument(telemetry, **settings)
        world = World(shape, servers[shape], asynchronous=mode == "async")
        with langmeter.track() as usage:
            if attribution is None:
                SCENARIOS[name].run(world)
            else:
                with langmeter.attribution(**attribution):
                    SCENARIOS[name].run(world)
        langmeter.uninstrument()
        data = telemetry._reader.get_metrics_data()
        metrics = [
            (scope.scope, metric)
            for resource in (data.resource_metrics if data is not None else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]
        return Output(telemetry.spans(), starts.seen, metrics, telemetry.logs()), usage

    return observe


def terms(scenario: Scenario, **more: Any) -> Terms:
    given = {operation: frozenset(names) for operation, names in scenario.given.items()}
    some = {operation: frozenset(names) for operation, names in scenario.some.items()}
    return Terms(given, some, **more)


def shown(tree: list[Tree], shape: str) -> list[Any]:
    """A tree with the names of the provider's models, siblings in alphabetical order: concurrent ones have no other."""
    found = []
    for node in tree:
        name, below = (node, []) if isinstance(node, str) else node
        found.append((NAMES[shape].get(name, name), shown(below, shape)))
    return sorted(found, key=json.dumps)


def drawn(tree: list[Any], indent: str = "  ") -> str:
    return "".join(f"{indent}{name}\n{drawn(below, indent + '  ')}" for name, below in tree)


def report(faults: list[str]) -> None:
    """All of them at once: one at a time would take a run for each."""
    if faults:
        pytest.fail("\n".join([f"{len(faults)} violations", *faults]), pytrace=False)


def tree_of(output: Output) -> list[Any]:
    below: dict[int | None, list[Any]] = {}
    known = {span.context.span_id for span in output.spans}
    for span in output.spans:
        parent = span.parent.span_id if span.parent is not None and span.parent.span_id in known else None
        below.setdefault(parent, []).append(span)

    def nodes(parent: int | None) -> list[Any]:
        found = [(span.name, nodes(span.context.span_id)) for span in below.get(parent, [])]
        return sorted(found, key=json.dumps)

    return nodes(None)


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_scenario_keeps_the_contract(run, observe, servers):
    scenario, shape = SCENARIOS[run[0]], run[1]
    output, usage = observe(run)
    faults = checker.violations(output, terms(scenario))
    faults += accounts.discrepancies(output, servers[shape].billed if scenario.billed else None, usage)
    found, expected = drawn(tree_of(output)), drawn(shown(scenario.tree, shape))
    if found != expected:
        faults.append(f"the spans are\n{found}\nand should be\n{expected}")
    report(undocumented("/".join(run), faults))


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_metrics_do_not_depend_on_sampling(run, observe):
    sampled, of_sampled = observe(run)
    unsampled, of_unsampled = observe(run, ALWAYS_OFF)
    assert unsampled.spans == []
    assert accounts.metrics_without_times(unsampled) == accounts.metrics_without_times(sampled)
    assert (of_unsampled.calls, of_unsampled.cost_usd) == (of_sampled.calls, of_sampled.cost_usd)


VARIANTS: dict[str, dict[str, Any]] = {
    "every metric": {"legacy_metrics": True, "time_per_output_chunk": True, "operation_cost": True},
    "content on spans": {"content": "span"},
    "content in events": {"content": "event"},
    "content in both": {"content": "span_and_event"},
}


@pytest.mark.parametrize("run", VARIANT_RUNS.values(), ids=VARIANT_RUNS)
@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_a_scenario_keeps_the_contract_with(settings, run, observe, servers):
    scenario, shape = SCENARIOS[run[0]], run[1]
    output, usage = observe(run, **settings)
    switches = frozenset(name for name, value in settings.items() if value is True)
    faults = checker.violations(output, terms(scenario, switches=switches, content=settings.get("content", "off")))
    billed = servers[shape].billed if scenario.billed else None
    faults += accounts.discrepancies(output, billed, usage, switches)
    report(undocumented("/".join(run), faults))


@pytest.mark.parametrize("run", VARIANT_RUNS.values(), ids=VARIANT_RUNS)
def test_a_scenario_keeps_the_contract_with_attribution(run, observe, servers):
    scenario, shape = SCENARIOS[run[0]], run[1]
    given = {"tenant": "acme", "ticket": "t-1"}
    output, usage = observe(run, attribution=given, metric_attribution_keys=("tenant",))
    faults = checker.violations(output, terms(scenario, attribution=given, metric_attribution=frozenset({"tenant"})))
    faults += accounts.discrepancies(output, servers[shape].billed if scenario.billed else None, usage)
    report(undocumented("/".join(run), faults))
