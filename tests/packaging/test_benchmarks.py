"""The benchmarks are whole, measure what they say, and are all on the page that publishes their figures."""

from __future__ import annotations

import inspect
import logging
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import __main__ as program
from benchmarks import decode, synthetic_contacts
from benchmarks.figures import Figure
from contacts_core.provider import payloads as decoding
from contacts_sendgrid.payloads import SearchResult

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/performance.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", program.NAMES)
def test_every_benchmark_has_a_quick_form_and_is_on_the_page(name: str) -> None:
    parameter = inspect.signature(import_module(f"benchmarks.{name}").run).parameters["quick"]
    assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
    assert f"`{name}`" in PAGE


def test_every_module_that_measures_something_is_run_by_default() -> None:
    modules = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "\ndef run(" in path.read_text("utf-8")}
    assert modules == set(program.NAMES)


def test_the_usual_page_of_the_decoding_benchmark_has_no_undeclared_fields(caplog: pytest.LogCaptureFixture) -> None:
    contacts = synthetic_contacts.sendgrid(50)
    with caplog.at_level(logging.INFO, "contacts_core.drift"):
        found = decode.shared_page(synthetic_contacts.sendgrid_page(contacts), decoding.decoder(SearchResult))
    assert len(found) == 50
    assert caplog.messages == []


@pytest.mark.parametrize(("arguments", "code"), [((), 1), (("--quick",), 0)])
def test_a_missed_target_fails_the_whole_run_and_not_the_quick_one(
    arguments: tuple[str, ...], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(decode, "run", lambda *, quick: [Figure(f"quick is {quick}", 0.5, least=1.0)])
    monkeypatch.setattr("sys.argv", ["benchmarks", *arguments, "decode"])
    assert program.main() == code
    assert f"quick is {bool(arguments)}" in capsys.readouterr().out


def test_ci_runs_the_quick_benchmarks() -> None:
    assert "-m benchmarks --quick" in (ROOT / ".ci/run").read_text(encoding="utf-8")
