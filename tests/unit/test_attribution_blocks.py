"""Blocks, metadata and baggage by themselves: what is read where, and what never is."""

import asyncio
import contextvars
import enum
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.baggage.propagation import W3CBaggagePropagator

from langmeter import Settings, SettingsError
from langmeter.attribution_keys import checked_keys, checked_metric_keys
from langmeter.attribution_scope import attribution, current_scope, propagation
from langmeter.langchain.attribution import NOTHING, Attributed, Attribution
from langmeter.telemetry.distinct_values import DistinctValues, distinct_values

PREFIX = "langchain.attribution."
OTHER = "__other__"


@pytest.fixture(autouse=True)
def _nothing_remembered():
    distinct_values.clear()
    before = otel_context.attach(otel_context.get_current())
    yield
    assert current_scope() is None
    assert dict(baggage.get_all()) == {}
    otel_context.detach(before)
    propagation.on = False
    distinct_values.clear()


def reader(**settings):
    return Attribution(Settings(**settings))


def said():
    """What the blocks around say, as a span would carry it."""
    return dict(reader().read().span)


def entries():
    return {name.removeprefix(PREFIX): value for name, value in baggage.get_all().items()}


# -- blocks ----------------------------------------------------------------------------------------------------------


def test_outside_of_blocks_nothing_is_said_and_nothing_is_made():
    assert reader().read() is NOTHING
    assert (
        reader(attribution_keys="tenant", metric_attribution_keys="tenant").read({"ls_provider": "openai"}) is NOTHING
    )


def test_blocks_nest_and_the_inner_one_adds_overrides_and_removes():
    with attribution(tenant="acme", feature="search"):
        with attribution(feature="chat", environment="prod"):
            assert said() == {"tenant": "acme", "feature": "chat", "environment": "prod"}
            with attribution(tenant=None, environment=""):
                assert said() == {"feature": "chat"}
        assert said() == {"tenant": "acme", "feature": "search"}
    assert said() == {}


class Plan(str, enum.Enum):  # noqa: UP042  (its `str()` is its name, unlike that of a StrEnum)
    PRO = "pro"


@pytest.mark.parametrize(
    ("value", "carried"),
    [
        ("acme", "acme"),
        (7, "7"),
        (True, "true"),
        (False, "false"),
        (Plan.PRO, "pro"),
        ("x" * 300, "x" * 256),
        ("ü\ud800", "ü?"),
        ("é" * 300, "é" * 256),
    ],
)
def test_values_are_short_clean_text(value, carried):
    with attribution(tenant=value):
        assert reader().read().span == (("tenant", carried),)
        assert type(reader().read().span[0][1]) is str


@pytest.mark.parametrize("value", [1.5, b"acme", ["acme"], object()])
def test_a_value_of_another_type_is_refused_where_the_block_is_made(value):
    with pytest.raises(SettingsError, match=rf"attribution\(tenant=…\).*got {type(value).__name__}.*str\(value\)"):
        attribution(tenant=value)


@pytest.mark.parametrize("key", ["Tenant", "_tenant", "7up", "", "ten ant", "tenänt", "tenant-id", "x" * 65, "a\n"])
def test_a_wrong_key_is_refused_and_the_message_shows_a_right_one(key):
    with pytest.raises(SettingsError, match=r"a key is .* like 'tenant' or 'team.name'"):
        attribution(**{key: "x"})
    with pytest.raises(SettingsError, match="a key is"):
        checked_keys((key,))


def test_keys_that_python_reserves_are_keys_like_others():
    with attribution(**{"self": "x", "team.name": "y", "k" * 64: "z"}):
        assert said() == {"self": "x", "team.name": "y", "k" * 64: "z"}


def test_the_prompt_goes_to_attributes_of_its_own_and_a_name_takes_the_outer_version_away():
    def prompt():
        attributed = reader().read()
        assert attributed.span == (("tenant", "acme"),)
        return [value for _, value in attributed.prompt]

    with attribution(tenant="acme"):
        with attribution(prompt_version="3"):
            assert prompt() == []
            with attribution(prompt_name="greeting"):
                assert prompt() == ["greeting"]
        with attribution(prompt_name="greeting", prompt_version=3):
            assert reader().read().prompt == (("gen_ai.prompt.name", "greeting"), ("gen_ai.prompt.version", "3"))
            with attribution(prompt_version="4"):
                assert prompt() == ["greeting", "4"]
            with attribution(prompt_name="farewell"):
                assert prompt() == ["farewell"]
            with attribution(prompt_name=None):
                assert prompt() == []


def test_one_object_is_used_again_and_inside_itself():
    block = attribution(tenant="acme")
    for _ in range(2):
        with block, attribution(tenant="other"), block:
            assert said() == {"tenant": "acme"}
        assert said() == {}


def test_blocks_that_end_in_another_order_leave_nothing_behind():
    propagation.on = True
    outer, inner, last = attribution(tenant="a", feature="x"), attribution(tenant="b"), attribution(tenant="c")
    for block in (outer, inner, last):
        block.__enter__()
    inner.__exit__(None, None, None)
    assert (said(), entries()) == ({"tenant": "c", "feature": "x"},) * 2
    last.__exit__(None, None, None)
    assert (said(), entries()) == ({"tenant": "a", "feature": "x"},) * 2
    outer.__exit__(None, None, None)
    outer.__exit__(None, None, None)  # once too often
    assert (said(), entries()) == ({}, {})
    for block in (outer, inner):
        block.__enter__()
    outer.__exit__(None, None, None)
    assert (said(), entries()) == ({"tenant": "b"},) * 2
    inner.__exit__(None, None, None)


def test_an_exception_passes_and_ends_the_block():
    with pytest.raises(ZeroDivisionError), attribution(tenant="acme"):
        1 / 0  # noqa: B018
    assert said() == {}


# -- decorators, async code, threads ---------------------------------------------------------------------------------


def test_a_decorated_function_runs_inside_and_keeps_its_name_and_result():
    @attribution(tenant="acme")
    def answer(number, *, more=0):
        return said(), number + more

    assert (answer.__name__, answer(1, more=2)) == ("answer", ({"tenant": "acme"}, 3))
    assert said() == {}


def test_a_decorated_coroutine_function_runs_inside_to_its_end():
    @attribution(tenant="acme")
    async def answer():
        await asyncio.sleep(0)
        return said()

    async def main():
        pending = answer()
        assert said() == {}
        return await pending, said()

    assert asyncio.run(main()) == ({"tenant": "acme"}, {})


def test_generators_are_refused_with_a_way_out():
    def values():
        yield 1

    async def later():
        yield 1

    for generator in (values, later):
        with pytest.raises(TypeError, match=r"cannot decorate the generator .*put `with` around"):
            attribution(tenant="acme")(generator)


def test_concurrent_tasks_share_one_block_and_see_their_own():
    shared = attribution(feature="search")

    async def work(tenant):
        async with shared, attribution(tenant=tenant):
            await asyncio.sleep(0)
            seen = said()
            await asyncio.gather(asyncio.create_task(nested(tenant)), asyncio.to_thread(check, tenant))
        assert said() == {}
        return seen

    async def nested(tenant):
        await asyncio.sleep(0)
        check(tenant)

    def check(tenant):
        assert said() == {"feature": "search", "tenant": tenant}

    async def main():
        return await asyncio.gather(*(work(f"t{number}") for number in range(20)))

    assert asyncio.run(main()) == [{"feature": "search", "tenant": f"t{number}"} for number in range(20)]


def test_a_task_keeps_its_block_after_the_block_has_ended_where_it_was_started():
    async def main():
        with attribution(tenant="acme"):
            task = asyncio.create_task(later())
        return await task, said()

    async def later():
        await asyncio.sleep(0)
        return said()

    assert asyncio.run(main()) == ({"tenant": "acme"}, {})


def test_a_generator_collected_in_another_context_ends_quietly():
    propagation.on = True

    def values():
        with attribution(tenant="acme"):
            yield said()

    generator = values()
    context = contextvars.copy_context()
    assert context.run(next, generator) == {"tenant": "acme"}
    with attribution(tenant="other"):
        generator.close()
        assert (said(), entries()) == ({"tenant": "other"},) * 2


def test_a_bare_thread_knows_nothing_and_one_in_a_copied_context_everything():
    with attribution(tenant="acme"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(said).result() == {}
        assert pool.submit(contextvars.copy_context().run, said).result() == {"tenant": "acme"}


# -- run metadata ----------------------------------------------------------------------------------------------------


def test_metadata_is_read_for_the_listed_keys_only_and_a_block_goes_before_it():
    read = reader(attribution_keys="tenant,feature,seats,flag").read
    metadata = {"tenant": "acme", "seats": 3, "flag": True, "feature": ["x"], "other": "no", "ls_provider": "openai"}
    known = (("tenant", "acme"), ("seats", "3"), ("flag", "true"))
    assert read(metadata) == Attributed(known)
    assert reader().read(metadata) is NOTHING
    with attribution(tenant="block", seats=None):
        assert dict(read(metadata).span) == {"tenant": "block", "flag": "true"}
        assert dict(read(None).span) == {"tenant": "block"}


@pytest.mark.parametrize("metadata", [None, {}, "text", ["tenant"], 7])
def test_metadata_that_is_none_costs_nothing_else(metadata):
    read = reader(attribution_keys="tenant").read
    assert read(metadata) is NOTHING
    with attribution(feature="x"):
        assert read(metadata).span == (("feature", "x"),)


NAMED = ("gen_ai.prompt.name", "acme/greeting")


@pytest.mark.parametrize(
    ("metadata", "prompt"),
    [
        ({"prompt_name": "greeting"}, (("gen_ai.prompt.name", "greeting"),)),
        (
            {"prompt_name": "greeting", "prompt_version": 2, "lc_hub_repo": "other", "lc_hub_commit_hash": "abc"},
            (("gen_ai.prompt.name", "greeting"), ("gen_ai.prompt.version", "2")),
        ),
        ({"prompt_version": "2"}, ()),
        (
            {"lc_hub_owner": "acme", "lc_hub_repo": "greeting", "lc_hub_commit_hash": "abc"},
            (NAMED, ("gen_ai.prompt.version", "abc")),
        ),
        ({"lc_hub_owner": "-", "lc_hub_repo": "greeting"}, (("gen_ai.prompt.name", "greeting"),)),
        ({"lc_hub_repo": None, "lc_hub_commit_hash": "abc"}, ()),
    ],
    ids=["name", "name before hub", "version alone", "hub", "hub without owner", "hub without name"],
)
def test_a_prompt_is_named_by_metadata(metadata, prompt):
    read = reader(attribution_keys="prompt_name,prompt_version").read
    assert read(metadata).prompt == prompt
    assert read(metadata).span == ()
    with attribution(prompt_name="block"):
        assert read(metadata).prompt == (("gen_ai.prompt.name", "block"),)


def test_a_hub_prompt_needs_no_setting():
    assert reader().read({"lc_hub_owner": "acme", "lc_hub_repo": "greeting"}).prompt == (NAMED,)


# -- metrics ---------------------------------------------------------------------------------------------------------


def test_metrics_carry_the_allowed_keys_in_one_order_and_the_first_values_only():
    read = reader(metric_attribution_keys="tenant,environment", max_attribution_values=2).read

    def metric(**keys):
        with attribution(**keys):
            return read().metric

    assert metric(feature="x", environment="prod", tenant="a") == (("tenant", "a"), ("environment", "prod"))
    assert metric(tenant="b") == (("tenant", "b"),)
    assert metric(tenant="c", environment="dev") == (("tenant", OTHER), ("environment", "dev"))
    assert metric(tenant="a") == (("tenant", "a"),)
    assert metric(feature="x") == ()


def test_the_values_are_those_of_the_process_not_of_a_handler():
    one = reader(metric_attribution_keys="tenant", max_attribution_values=1).read
    two = reader(metric_attribution_keys="tenant", max_attribution_values=1).read
    with attribution(tenant="a"):
        assert one().metric == two().metric == (("tenant", "a"),)
    with attribution(tenant="b"):
        assert one().metric == two().metric == (("tenant", OTHER),)


def test_many_threads_admit_no_value_too_many():
    values, limit, seen = DistinctValues(), 50, []
    start = threading.Barrier(8)

    def work():
        start.wait()
        seen.append({values.admitted("tenant", f"t{number}", limit) for number in range(500)})

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set().union(*seen)) == limit + 1


def test_threads_that_waited_for_one_another_look_again():
    values, seen = DistinctValues(), []
    threads = [
        threading.Thread(target=lambda value=value: seen.append(values.admitted("tenant", value, 1))) for value in "ab"
    ]
    with values._lock:
        for thread in threads:
            thread.start()
        threads[0].join(0.05)  # time to reach the lock; without it the test proves less, and never fails
    for thread in threads:
        thread.join()
    assert sorted(seen) in (["__other__", "a"], ["__other__", "b"])


def _admit_in_child(pipe):
    pipe.send(distinct_values.admitted("tenant", "b", 2))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_forked_while_a_value_was_being_admitted_can_admit():
    distinct_values.admitted("tenant", "a", 2)
    here, there = multiprocessing.Pipe()
    with distinct_values._lock:
        child = multiprocessing.get_context("fork").Process(target=_admit_in_child, args=(there,))
        child.start()
    try:
        assert here.poll(10)
        assert here.recv() == "b"
    finally:
        child.kill()
        child.join()


@pytest.mark.parametrize(
    "key",
    [
        *(
            "user",
            "user_id",
            "userid",
            "user.id",
            "end_user",
            "enduser.id",
            "user_name",
            "username",
            "user_email",
            "email",
        ),
        *("session", "session_id", "sessionid", "conversation_id", "gen.conversation_id", "thread_id", "run_id", "run"),
        *("prompt", "prompt_name", "prompt_version", "prompt_id", "request_id", "trace_id", "uuid", "current_user_id"),
    ],
)
def test_keys_without_end_are_refused_for_metrics_with_the_reason(key):
    with pytest.raises(SettingsError, match=r"not for metrics: users, .* time series of its own.*like 'tenant'"):
        checked_metric_keys((key,))
    assert checked_keys((key,)) == (key,)


def test_keys_of_groups_are_allowed_on_metrics():
    keys = (
        "tenant",
        "user_group",
        "user_plan",
        "customer",
        "tenant_id",
        "dry_run",
        "team.name",
        "session_kind",
        "tenant",
    )
    assert checked_metric_keys(keys) == keys[:-1]


# -- baggage ---------------------------------------------------------------------------------------------------------


def test_without_being_asked_nothing_is_put_into_baggage_and_nothing_is_read_from_it():
    token = otel_context.attach(baggage.set_baggage(f"{PREFIX}tenant", "upstream"))
    with attribution(tenant="acme"):
        assert entries() == {"tenant": "upstream"}
    assert reader().read() is NOTHING
    otel_context.detach(token)


def test_with_baggage_a_block_sets_entries_and_restores_what_was_there():
    propagation.on = True
    token = otel_context.attach(baggage.set_baggage(f"{PREFIX}tenant", "up", baggage.set_baggage("own", "1")))
    outside = dict(baggage.get_all())
    with attribution(tenant="acme", feature="search", prompt_name="greeting"):
        assert dict(baggage.get_all()) == {**outside, f"{PREFIX}tenant": "acme", f"{PREFIX}feature": "search"}
        with attribution(tenant=None, feature="chat"):
            assert entries() == {"own": "1", "feature": "chat"}
        assert entries() == {"own": "1", "tenant": "acme", "feature": "search"}
    assert dict(baggage.get_all()) == outside
    otel_context.detach(token)


def test_baggage_upstream_is_the_last_to_be_asked():
    read = reader(attribution_baggage=True, attribution_keys="feature", metric_attribution_keys="tenant").read
    header = {"baggage": f"{PREFIX}tenant=acme,{PREFIX}feature=up,{PREFIX}Bad=x,{PREFIX}prompt_name=x,other=y"}
    token = otel_context.attach(W3CBaggagePropagator().extract(header))
    assert read() == Attributed((("tenant", "acme"), ("feature", "up")), (("tenant", "acme"),))
    assert dict(read({"feature": "meta"}).span) == {"tenant": "acme", "feature": "meta"}
    with attribution(tenant="block", feature=None):
        assert dict(read({"feature": "meta"}).span) == {"tenant": "block"}
    otel_context.detach(token)


def test_baggage_reaches_the_next_service_as_it_was_said():
    propagation.on = True
    sent, text = {}, "Zoë & Söhne, 50 % +1"
    with attribution(tenant=text, flag=True):
        W3CBaggagePropagator().inject(sent)
    token = otel_context.attach(W3CBaggagePropagator().extract(sent))
    assert dict(reader(attribution_baggage=True).read().span) == {"tenant": text, "flag": "true"}
    otel_context.detach(token)


def test_the_end_of_a_block_changes_nothing_of_the_context_but_its_entries():
    propagation.on = True
    outside = otel_context.attach(otel_context.get_current())
    block, span = attribution(tenant="acme"), trace.NonRecordingSpan(trace.SpanContext(1, 1, is_remote=False))
    block.__enter__()
    otel_context.attach(trace.set_span_in_context(span))
    block.__exit__(None, None, None)
    assert (trace.get_current_span(), entries()) == (span, {})
    otel_context.detach(outside)


def test_tasks_and_threads_with_baggage_end_their_blocks_in_their_own_context():
    propagation.on = True

    async def work(tenant):
        with attribution(tenant=tenant):
            await asyncio.sleep(0)
            assert await asyncio.to_thread(entries) == {"tenant": tenant, "feature": "x"}
        assert entries() == {"feature": "x"}

    async def main():
        with attribution(feature="x"):
            await asyncio.gather(*(work(f"t{number}") for number in range(20)))

    asyncio.run(main())


def test_what_is_in_baggage_may_be_anything():
    propagation.on = True
    context = baggage.set_baggage(f"{PREFIX}tenant", object(), baggage.set_baggage(f"{PREFIX}seats", 3))
    token = otel_context.attach(context)
    assert reader(attribution_baggage=True).read().span == (("seats", "3"),)
    otel_context.detach(token)
