"""What the page on tracing says of OpenTelemetry holds with the usual instrumentation of httpx."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from contacts_core import Identifier, connect, connect_async
from contacts_core.emulator import Running, Sandbox, emulators, running

PAGE = Path(__file__).parents[2] / "docs" / "logging.md"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(emulators().values(), contacts=20, speed=600)


@pytest.fixture
def server(sandbox: Sandbox) -> Iterator[Running]:
    with running(sandbox) as server:
        yield server


@pytest.fixture
def instrumented() -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
    """The setup of the page, with an exporter that keeps the spans."""
    section = PAGE.read_text(encoding="utf-8").partition("## Tracing with OpenTelemetry")[2]
    setup = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert setup
    namespace: dict[str, Any] = {}
    exporter = InMemorySpanExporter()
    try:
        exec(setup[1], namespace)  # noqa: S102 - our own page
        provider = namespace["tracer_provider"]
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        yield provider, exporter
    finally:
        HTTPXClientInstrumentor().uninstrument()


def requests(exporter: InMemorySpanExporter) -> Sequence[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if "http.method" in (span.attributes or {})]


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


@pytest.mark.parametrize("vendor", sorted(emulators()))
def test_every_request_of_the_blocking_client_is_a_child_of_the_callers_span(
    vendor: str, server: Running, instrumented: tuple[TracerProvider, InMemorySpanExporter]
) -> None:
    provider, exporter = instrumented
    with (
        connect(vendor, **server.settings(vendor)) as contacts,
        provider.get_tracer("test").start_as_current_span("work") as work,
    ):
        sent: list[object] = []
        contacts.add_event_hook(lambda request, response: sent.append(request))
        contacts.find([Identifier.email("person3@example.com")])
        assert len(list(contacts.export())) == 20
    spans = requests(exporter)
    assert len(spans) >= len(sent) > 1
    assert {span.parent and span.parent.span_id for span in spans} == {work.get_span_context().span_id}


@pytest.mark.parametrize("vendor", sorted(emulators()))
def test_every_request_of_the_asynchronous_client_is_a_child_of_the_callers_span(
    vendor: str, server: Running, instrumented: tuple[TracerProvider, InMemorySpanExporter]
) -> None:
    provider, exporter = instrumented

    async def main() -> int:
        async with connect_async(vendor, **server.settings(vendor)) as contacts:
            with provider.get_tracer("test").start_as_current_span("work") as work:
                await contacts.find([Identifier.email("person3@example.com")])
                assert len([contact async for contact in contacts.export()]) == 20
        return work.get_span_context().span_id

    span_id = asyncio.run(main())
    assert {span.parent and span.parent.span_id for span in requests(exporter)} == {span_id}


def test_spans_hold_no_query_no_key_and_no_identifier(
    server: Running, instrumented: tuple[TracerProvider, InMemorySpanExporter]
) -> None:
    provider, exporter = instrumented
    keys = set()
    for vendor in emulators():
        settings = server.settings(vendor)
        keys |= {value for name, value in settings.items() if name.endswith("key")}
        with connect(vendor, **settings) as contacts, provider.get_tracer("test").start_as_current_span("work"):
            contacts.find([Identifier.email("person3@example.com")])
            list(contacts.export())
    spans = requests(exporter)
    assert len(spans) > 10
    assert len(keys) == 3
    for span in spans:
        assert "?" not in attributes(span)["http.url"]
        assert not [value for value in attributes(span).values() for secret in keys if secret in str(value)]
        assert "@" not in str(attributes(span))


def test_each_attempt_has_a_span(
    sandbox: Sandbox, server: Running, instrumented: tuple[TracerProvider, InMemorySpanExporter]
) -> None:
    _, exporter = instrumented
    sandbox.faults.set("unavailable", 1)
    with connect("sendgrid", **server.settings("sendgrid")) as contacts:
        contacts.lists()
    assert [attributes(span)["http.status_code"] for span in requests(exporter)][:2] == [503, 200]
