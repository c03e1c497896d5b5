"""Hooks are pluggy's: order, wrappers of both styles, first results; and one plugin's failure stays its own."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from typing import Any, cast

import pluggy
import pytest

from contacts_core import AsyncContacts
from contacts_core.config import plugins
from contacts_core.errors import PlanRefused
from contacts_core.plans import Plan, apply_async, hooks, list_runs, plan_erasure
from contacts_core.provider import hookimpl
from tests.plans.environment import Environment

Register = Callable[[object], None]

PLAN = cast("Plan", object())


class Agrees:
    @hookimpl
    def contacts_before_apply(self) -> None:
        return None


class Objects:
    @hookimpl
    def contacts_before_apply(self) -> str:
        return "not on a Friday"


def test_a_wrapper_that_changes_nothing_lets_a_plan_be_applied(environment: Environment, register: Register) -> None:
    events: list[str] = []

    class Wrapper:
        @hookimpl(wrapper=True)
        def contacts_before_apply(self, plan: Plan) -> Generator[None, list[str], list[str]]:
            events.append(plan.kind)
            reasons = yield
            events.append("after")
            return reasons

    register(Agrees())
    register(Wrapper())
    assert plan_erasure(environment.emails(1), environment.accounts).apply(environment.accounts, pause=0.01).complete
    assert events == ["erase", "after"]


def test_a_wrapper_sees_and_keeps_an_objection(environment: Environment, register: Register) -> None:
    seen: list[list[str]] = []

    class Wrapper:
        @hookimpl(wrapper=True)
        def contacts_before_apply(self) -> Generator[None, list[str], list[str]]:
            reasons = yield
            seen.append(reasons)
            return reasons

    register(Wrapper())
    register(Objects())
    with pytest.raises(PlanRefused, match="plugin Objects objects: not on a Friday"):
        plan_erasure(environment.emails(1), environment.accounts).apply(environment.accounts)
    assert seen == [["not on a Friday"]]
    assert list_runs() == []


def test_a_wrapper_may_object_and_is_named(register: Register) -> None:
    class Wrapper:
        @hookimpl(wrapper=True)
        def contacts_before_apply(self) -> Generator[None, list[str], list[str]]:
            return [*(yield), "no budget"]

    register(Agrees())
    register(Wrapper())
    with pytest.raises(PlanRefused, match="plugin Wrapper objects: no budget"):
        hooks.before_apply(PLAN)


def test_a_wrapper_may_lift_an_objection(register: Register) -> None:
    class Wrapper:
        @hookimpl(wrapper=True)
        def contacts_before_apply(self) -> Generator[None, list[str], list[str]]:
            return [reason for reason in (yield) if "Friday" not in reason]

    register(Objects())
    register(Wrapper())
    hooks.before_apply(PLAN)


@pytest.mark.parametrize("answer", [None, "", True, ("a",)])
def test_a_wrapper_that_forgets_the_reasons_forbids_the_plan(register: Register, answer: object) -> None:
    class Wrapper:
        @hookimpl(wrapper=True)
        def contacts_before_apply(self) -> Generator[None, list[str], object]:
            yield
            return answer

    register(Objects())
    register(Wrapper())
    with pytest.raises(PlanRefused, match="plugin Wrapper answered with") as refused:
        hooks.before_apply(PLAN)
    assert "return (yield)" in str(refused.value.hint)


def test_an_old_hookwrapper_works(register: Register) -> None:
    class Wrapper:
        @hookimpl(hookwrapper=True)
        def contacts_before_apply(self) -> Generator[None, pluggy.Result[list[str]], None]:
            outcome = yield
            outcome.force_result([f"{reason}, nor on a Saturday" for reason in outcome.get_result()])

    register(Wrapper())
    hooks.before_apply(PLAN)
    register(Objects())
    with pytest.raises(PlanRefused, match="not on a Friday, nor on a Saturday"):
        hooks.before_apply(PLAN)


def test_tryfirst_and_trylast_order_the_calls(register: Register) -> None:
    events: list[str] = []

    class Last:
        @hookimpl(trylast=True)
        def contacts_plan_created(self) -> None:
            events.append("last")

    class First:
        @hookimpl(tryfirst=True)
        def contacts_plan_created(self) -> None:
            events.append("first")

    class Ordinary:
        @hookimpl
        def contacts_plan_created(self) -> None:
            events.append("ordinary")

    register(First())
    register(Ordinary())
    register(Last())
    hooks.plan_created(PLAN)
    assert events == ["first", "ordinary", "last"]


class Fails:
    @hookimpl
    def contacts_question(self) -> int:
        raise ValueError


class Answers:
    def __init__(self, answer: int | None, events: list[int | None]) -> None:
        self.answer, self.events = answer, events

    @hookimpl
    def contacts_question(self) -> int | None:
        self.events.append(self.answer)
        return self.answer


def test_a_first_result_ends_the_call_and_a_failure_is_none() -> None:
    class Specs:
        @plugins.hookspec(firstresult=True)
        def contacts_question(self) -> int | None:
            """Asked until one answers."""

    manager = plugins.PluginManager(plugins.GROUP)
    manager.add_hookspecs(Specs)
    events: list[int | None] = []
    for number, plugin in enumerate([Answers(3, events), Answers(2, events), Answers(None, events), Fails()]):
        manager.register(plugin, name=f"plugin {number}")
    called = plugins.call(manager.hook.contacts_question)
    assert called.result == 2
    assert called.answers == [("plugin 1", 2)]
    assert events == [None, 2]
    ((name, error),) = called.failures
    assert (name, type(error)) == ("plugin 3", ValueError)


def before(kind: type[BaseException]) -> Any:
    def wrapper() -> Iterator[None]:
        if kind:
            raise kind
        yield

    return wrapper


def after(kind: type[BaseException]) -> Any:
    def wrapper() -> Iterator[None]:
        yield
        raise kind

    return wrapper


def twice(_: object) -> Any:
    def wrapper() -> Iterator[None]:
        yield
        yield

    return wrapper


def never(_: object) -> Any:
    def wrapper() -> Iterator[None]:
        yield from ()

    return wrapper


@pytest.mark.parametrize("style", ["wrapper", "hookwrapper"])
@pytest.mark.parametrize("kind", [ValueError, SystemExit])
@pytest.mark.parametrize("broken", [before, after, twice, never])
@pytest.mark.filterwarnings("error")
def test_a_failing_wrapper_changes_nothing_for_the_others(
    register: Register, caplog: pytest.LogCaptureFixture, style: str, kind: type[BaseException], broken: Any
) -> None:
    events: list[object] = []

    class Others:
        @hookimpl
        def contacts_plan_created(self, plan: object) -> None:
            events.append(plan)

        @hookimpl
        def contacts_before_apply(self, plan: object) -> None:
            events.append(plan)

    class Outer:
        @hookimpl(wrapper=True, tryfirst=True)
        def contacts_plan_created(self) -> Generator[None, object, object]:
            result = yield
            events.append(result)
            return result

    marked = hookimpl(wrapper=style == "wrapper", hookwrapper=style == "hookwrapper")

    class Broken:
        contacts_plan_created = staticmethod(marked(broken(kind)))
        contacts_before_apply = staticmethod(marked(broken(kind)))

    register(Others())
    register(Outer())
    register(Broken())
    with caplog.at_level(logging.WARNING, "contacts_core"):
        hooks.plan_created(PLAN)
    assert events == [PLAN, []]
    assert caplog.text.count("plugin Broken failed in contacts_plan_created") == 1
    with pytest.raises(PlanRefused, match="plugin Broken failed when asked"):
        hooks.before_apply(PLAN)


@pytest.mark.parametrize("kind", [ValueError, SystemExit])
def test_a_failing_implementation_neither_silences_the_others_nor_agrees(
    register: Register, kind: type[BaseException]
) -> None:
    asked: list[str] = []

    class Asked:
        @hookimpl
        def contacts_before_apply(self) -> None:
            asked.append("first")

    class Broken:
        @hookimpl(tryfirst=True)
        def contacts_before_apply(self) -> None:
            raise kind

    register(Asked())
    register(Broken())
    with pytest.raises(PlanRefused, match="plugin Broken failed when asked"):
        hooks.before_apply(PLAN)
    assert asked == ["first"]


def test_the_users_own_interruption_goes_on(register: Register) -> None:
    events: list[str] = []

    class Wrapper:
        @hookimpl(wrapper=True)
        def contacts_plan_created(self) -> Generator[None, object, object]:
            try:
                return (yield)
            except KeyboardInterrupt:
                events.append("interrupted")
                raise

    class Interrupted:
        @hookimpl
        def contacts_plan_created(self) -> None:
            raise KeyboardInterrupt

    register(Wrapper())
    register(Interrupted())
    with pytest.raises(KeyboardInterrupt):
        hooks.plan_created(PLAN)
    assert events == ["interrupted"]


def test_a_wrapper_of_the_providers_is_called(register: Register) -> None:
    events: list[int] = []

    class Wrapper:
        @hookimpl(wrapper=True)
        def contacts_providers(self) -> Generator[None, list[Any], list[Any]]:
            answers = yield
            events.append(len(answers))
            return answers

    register(Wrapper())
    plugins.registry.cache_clear()
    found = plugins.registry()
    assert found.origins["bird"] == "bird"
    assert not found.broken
    assert events == [len(found.providers)]


# -- hooks of clients --------------------------------------------------------------------------------------------------


def test_the_hooks_of_a_client_outlive_a_plan(environment: Environment) -> None:
    client, seen, asked = environment.clients["bird"], list[str](), list[int]()

    def before_send() -> float:
        asked.append(len(seen))
        return 60.0

    plan = plan_erasure(environment.emails(1), [client])
    remove = client.add_event_hook(lambda call, _: seen.append(call.method))
    client.add_before_send(before_send)
    done = plan.apply([client], pause=0.01)
    assert done.complete
    noted = Counter(exchange["method"] for line in done.of("step") for exchange in line["exchanges"])
    assert noted
    assert noted <= Counter(seen)
    assert len(asked) >= len(seen)
    seen.clear()
    client.count()
    assert seen
    remove()
    seen.clear()
    client.count()
    assert not seen


def test_the_hooks_of_an_asynchronous_client_outlive_a_plan(environment: Environment) -> None:
    seen: list[str] = []
    plan = plan_erasure(environment.emails(1), [environment.clients["bird"]])

    async def main() -> tuple[int, int]:
        async with AsyncContacts(environment.clients["bird"].provider, name="bird") as client:
            client.add_event_hook(lambda call, _: seen.append(call.method))
            assert (await apply_async(plan, [client], pause=0.01)).complete
            during = len(seen)
            await client.count()
            return during, len(seen)

    during, after = asyncio.run(main())
    assert 0 < during < after
