"""The contract: what every provider promises, capability by capability."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import pytest

from contacts_core.provider import CreatesLists, Exports, Provider, UpsertsContacts, capabilities
from contacts_core.testing.cases.consent import ConsentCases
from contacts_core.testing.cases.faults import FaultCases
from contacts_core.testing.cases.preview import PreviewCases
from contacts_core.testing.cases.read import ReadCases
from contacts_core.testing.cases.repetition import RepetitionCases
from contacts_core.testing.cases.shared import Case, Cases
from contacts_core.testing.cases.write import WriteCases
from contacts_core.testing.harness import Backend, Harness, Mode, open_harness

if TYPE_CHECKING:
    from contacts_core.emulator import Emulator

__all__ = ["ProviderContract"]

T = TypeVar("T", bound=Callable[..., Any])
EMPTY_ACCOUNT = (
    "Without an emulator each case needs an empty account: override the fixture `account` of the contract, and have it "
    "yield the settings of a new account, or empty the one that there is before it yields."
)
NEEDED_WITHOUT_EMULATOR = (
    f"{EMPTY_ACCOUNT} A case also reads what is stored, so the provider must export, and it brings people in:"
    " declare UpsertsContacts (and CreatesLists for lists), or override `populate` of the contract."
)
NEEDED_WITH_EMULATOR = (
    "A case compares what is stored before and after: let the emulator tell it (`tells_truth = True`), or the provider "
    "export it. Remove overrides that leave the capability's cases out."
)


class ProviderContract(ReadCases, WriteCases, PreviewCases, RepetitionCases, ConsentCases, FaultCases):
    """Subclass it in a test module; pytest does the rest.

    Cases are chosen by the capabilities that ``provider`` declares, never by its name. Each runs with `Contacts` and
    with `AsyncContacts`: against the emulator, or directly on providers that need none; those marked as recorded also
    on cassettes.

    Attributes:
        provider: The provider class.
        emulator: Its emulator; None for a provider that needs no vendor.
        cassettes: The folder of its cassettes; None for none.
        settings: Settings besides those that the emulator gives.
        observer: Called with every exchange that an emulator sees.
        fewest_of_a_crowd: How many contacts there are where several pages are tried: so many, or two whole pages and a
            contact if that is more. Lower it for a server that takes long to fill and read, but only if the provider's
            pages really have the `page_size` that it declares: larger ones are then not tried. Default 201.
    """

    provider: ClassVar[type[Provider]]
    emulator: ClassVar[type[Emulator] | None] = None
    cassettes: ClassVar[Path | None] = None
    settings: ClassVar[Mapping[str, Any]] = {}
    observer: ClassVar[Callable[..., None] | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Keep the cases that apply to this provider, once for each backend and client they run with."""
        super().__init_subclass__(**options)
        if not hasattr(cls, "provider"):
            return
        for name in dir(cls):
            case: Case | None = getattr(getattr(cls, name), "case", None)
            if case is not None:
                setattr(cls, name, cls._chosen(cast("FunctionType", getattr(cls, name)), case))

    @classmethod
    def tried(cls) -> dict[type[Provider], list[str]]:
        """The names of the cases that try each declared capability, without those that prove nothing of a provider."""
        found: dict[type[Provider], list[str]] = {capability: [] for capability in capabilities(cls.provider)}
        for name in dir(cls):
            case: Case | None = getattr(getattr(ProviderContract, name, None), "case", None)
            function = getattr(cls, name)
            skipped = any(mark.name in {"skip", "xfail"} for mark in getattr(function, "pytestmark", ()))
            if case is None or function is None or skipped or not case.proves:
                continue
            for capability in case.needs:
                if capability in found:
                    found[capability].append(name)
        return found

    def test_every_declared_capability_is_tried(self) -> None:
        """Fail if the provider declares a capability that no case can try."""
        untried = [capability.__name__ for capability, names in type(self).tried().items() if not names]
        assert untried == [], (
            f"{', '.join(untried)} of {self.provider.__name__} ran no case: nothing shows that the provider can do it. "
            f"{NEEDED_WITH_EMULATOR if self.emulator else NEEDED_WITHOUT_EMULATOR}"
        )

    @classmethod
    def _chosen(cls, function: FunctionType, case: Case) -> FunctionType | None:
        declared = capabilities(cls.provider)
        backends: list[Backend] = []
        if all(each in declared for each in case.needs) and cls._can_set_up(case):
            backends.append("emulator" if cls.emulator else "direct")
            if case.recorded and cls.cassettes:
                backends.append("cassette")
        if not backends:
            return None
        modes: tuple[Mode, ...] = ("sync",) if case.one_client else ("sync", "async")
        params = [pytest.param((backend, mode), id=f"{backend}-{mode}") for backend in backends for mode in modes]
        copy = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__)
        copy.__dict__.update(function.__dict__)
        copy.__doc__, copy.__kwdefaults__ = function.__doc__, function.__kwdefaults__
        marked: FunctionType = pytest.mark.parametrize("harness", params, indirect=True)(copy)
        return marked

    @classmethod
    def _fills(cls) -> bool:
        """Whether people can be brought into an account without an emulator."""
        return issubclass(cls.provider, UpsertsContacts) or cls.populate is not Cases.populate

    @classmethod
    def _can_set_up(cls, case: Case) -> bool:
        """Whether the account can be brought into the state that a case starts from, and read afterwards."""
        if cls.emulator:
            return not case.stored or cls.emulator.tells_truth or issubclass(cls.provider, Exports)
        if case.emulated or (case.stored and not issubclass(cls.provider, Exports)):
            return False
        if case.lists and not issubclass(cls.provider, CreatesLists) and cls.populate is Cases.populate:
            return False
        return cls._fills() or case.contacts == 0 or not case.needs

    @pytest.fixture
    def account(self) -> Iterator[Mapping[str, Any]]:
        """Settings of an account that is empty, for one case.

        Override it where there is no emulator: yield the settings of a new account, or empty the one that there is.
        """
        yield {}

    @pytest.fixture
    def harness(self, request: pytest.FixtureRequest) -> Iterator[Harness]:
        """A fresh account, and a client of it."""
        backend, mode = request.param
        account: Mapping[str, Any] = request.getfixturevalue("account") if backend == "direct" else {}
        name = request.function.__name__.removeprefix("test_")
        with self.open_harness(name, backend=backend, mode=mode, account=account) as harness:
            yield harness

    @contextmanager
    def open_harness(
        self, name: str, *, backend: Backend, mode: Mode, account: Mapping[str, Any] = MappingProxyType({})
    ) -> Generator[Harness, None, None]:
        """Set up the account that a case starts from.

        Args:
            name: The case's name, without ``test_``.
            backend: What answers the provider.
            mode: The client to use.
            account: Settings of an empty account, where there is no emulator.
        """
        case: Case = getattr(self, f"test_{name}").case
        contacts = case.population(type(self))
        if contacts is None:
            contacts = 0 if self.creates() or not (self.emulator or self._fills()) else 3
        with open_harness(
            self.provider,
            self.emulator,
            {**self.settings, **account},
            self.cassettes / f"{name}.yaml" if self.cassettes else None,
            backend=backend,
            mode=mode,
            case=name,
            contacts=contacts,
            observer=type(self).observer,
        ) as harness:
            if backend == "direct":
                self._expect_empty(harness)
                if contacts:
                    self.populate(harness, contacts)
                harness.sent.clear()
            yield harness

    def _expect_empty(self, harness: Harness) -> None:
        """Fail unless an account that no emulator makes is empty, so that a case finds its own people only."""
        if not issubclass(self.provider, Exports):
            return
        there = next(harness.client.export(), None)
        assert there is None, f"the account is not empty: it has contact {there.id}. {EMPTY_ACCOUNT}"
