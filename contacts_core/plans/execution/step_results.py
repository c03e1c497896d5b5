"""What the durable steps return. DBOS records it as plain JSON, and the converter here is the boundary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import NoneType
from typing import Any, TypeVar

from attrs import evolve, field, frozen
from cattrs import Converter

from contacts_core.formats import job_from_plain, plain
from contacts_core.models import Job

__all__ = ["AccountWork", "Barred", "Reasons", "StageWork", "StepResult", "from_recorded", "to_recorded"]

T = TypeVar("T")
Reasons = Mapping[int, str]  # by index


@frozen
class StageWork:
    """What there is to do in one stage.

    Attributes:
        operation: Its operation.
        steps: Numbers of the steps of the plan that have contacts to change.
        targets: How many contacts are verified.
        identifiers: How many identifiers are verified.
        paths: The ways to verify, see `Kind.verification_paths`.
        whole: Those paths that read everything at once.
        depends_on_source: Whether the consent of the source is read again before it.
    """

    operation: str
    steps: tuple[int, ...]
    targets: int
    identifiers: int
    paths: tuple[str, ...]
    whole: tuple[str, ...]
    depends_on_source: bool = False


@frozen
class AccountWork:
    """What there is to do in an account.

    Attributes:
        stages: The stages, in their order.
        poll: Seconds between two looks at the vendor's jobs, at most.
    """

    stages: tuple[StageWork, ...]
    poll: float


@frozen
class Barred:
    """Changes of a stage that must not be made, by what people said at the source since the plan was made.

    Attributes:
        reasons: Why, by their index in the stage.
        unread: Why nothing is known of it, so that the stage cannot begin; empty if it is known.
        refusing: The indexes of contacts that refused something, as a packed `IndexSet`; empty if none is written.
    """

    reasons: Reasons = field(factory=dict[int, str])
    unread: str = ""
    refusing: str = ""


@frozen
class StepResult:
    """How one attempt at a step of the plan ended.

    Attributes:
        failed: Why targets were not changed, by their index in the account.
        jobs: The vendor's jobs, without the addresses of their files, which are as good as keys.
        again: Whether another attempt makes sense.
        pause: Seconds that the vendor asked to wait before it.
        stopped: Why the attempt ended early; empty if it did not.
    """

    failed: Reasons = field(factory=dict[int, str])
    jobs: tuple[Job, ...] = ()
    again: bool = False
    pause: float = 0.0
    stopped: str = ""


def to_recorded(result: object) -> Any:
    """Return a result as plain JSON."""
    return _converter.unstructure(result)


def from_recorded(recorded: Any, result: type[T]) -> T:
    """Return the result that was recorded."""
    return _converter.structure(recorded, result)


def _job(job: Job) -> Any:
    return plain(evolve(job, errors_url="", files=()))


def _make_converter() -> Converter:
    converter = Converter(unstruct_collection_overrides={tuple: list, Sequence: list, AbstractSet: list})
    converter.register_unstructure_hook_func(
        lambda type_: type_ == Reasons, lambda reasons: {str(index): reason for index, reason in reasons.items()}
    )
    converter.register_unstructure_hook(Job, _job)
    converter.register_structure_hook(Job, lambda recorded, _: job_from_plain(recorded))
    converter.register_structure_hook(NoneType, lambda _recorded, _type: None)
    return converter


_converter = _make_converter()
