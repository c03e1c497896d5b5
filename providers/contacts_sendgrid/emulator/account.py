"""The emulated account: its store, and the jobs that change it."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from starlette.responses import Response

from contacts_core.emulator import Clock, Faults, json_response
from contacts_sendgrid.emulator.store import (
    EFFECT_AFTER,
    FIELD_USABLE_AFTER,
    FINISHED_AFTER,
    STALE_FOR,
    Export,
    Field,
    Import,
    Job,
    Results,
    Schedule,
    Store,
)

Effect = Callable[[datetime], Results]


class Account:
    """State that the groups of operations share."""

    def __init__(
        self, clock: Clock, faults: Faults, new_id: Callable[[], str], shown: Callable[[Iterable[str]], None]
    ) -> None:
        self.clock = clock
        self.faults = faults
        self.new_id = new_id
        self.shown = shown
        self.written: Callable[[dict[str, Any]], None] = lambda _: None  # called with each item that was upserted
        self.store = Store()
        self.schedule = Schedule()
        self.jobs: dict[str, Job] = {}
        self.imports: dict[str, Import] = {}
        self.exports: dict[str, Export] = {}

    def new_job(self, kind: str, requested: int) -> Job:
        """A job that has not begun."""
        job = Job(self.new_id(), kind, self.clock.now(), requested)
        self.jobs[job.id] = job
        return job

    def begin(self, job: Job, effect: Effect) -> None:
        """Start a job; its effect and its counts become visible together, before it counts as finished."""
        job.began_at = self.clock.now()
        if self.faults.take("job-never-ends"):
            job.never_ends = True
        elif self.faults.take("job-fails"):
            job.results = Results(job.requested, errors=[("", "internal error")] * max(job.requested, 1))
        else:
            due = job.began_at + EFFECT_AFTER

            def happen() -> None:
                job.results = effect(due)

            self.schedule.at(due, happen)

    def accept(self, kind: str, requested: int, effect: Effect) -> Response:
        """Accept a job and start it: 202 with its id."""
        job = self.new_job(kind, requested)
        self.begin(job, effect)
        return json_response({"job_id": job.id}, 202)

    def deletion(self, ids: list[str]) -> Effect:
        """The effect of deleting contacts. Ids of no contact are passed over [unverified]."""
        stale = self.faults.take("stale-reads")

        def delete() -> None:
            self.store.delete(ids)

        def effect(due: datetime) -> Results:
            present = sum(1 for contact_id in ids if contact_id in self.store.contacts)
            if stale:
                self.store.gone.update(ids)
                self.schedule.at(due - EFFECT_AFTER + FINISHED_AFTER + STALE_FOR, delete)
            else:
                delete()
            return Results(len(ids), deleted=present)

        return effect

    def usable_field(self, field_id: str) -> Field | None:
        """A custom field; a new one is refused in upserts for a few seconds."""
        field = self.store.fields.get(field_id)
        if field is None or self.clock.now() < field.created_at + FIELD_USABLE_AFTER:
            return None
        return field
