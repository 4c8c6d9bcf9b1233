"""The one way from a request to its answers, whatever protocol it came by.

A request that asks for `auto` gets its variants from the experiments, once. Then its policy says
which cascade is asked, under its constraints; load control lets it in; what is in the cache is
answered from there; the texts are made tokens; the engine asks the students; some answers are asked
again of all of them, when nobody waits; and what came of the variants is recorded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from functools import partial
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...experiments.assignment import Assignment
from ...experiments.definition import Variant
from ...experiments.exposures import ExposureContext, RequestResult, counterfactual_arm, exposures
from ...experiments.records import Exposure
from ...models.cascade.columns import Decisions
from ...models.cascade.policy import Cascade
from ..engine.executor import ExecutorGoneError
from ..errors import Reason, RequestError, internal_error
from .constraints import RequestConstraints, check_feasible
from .load_control import TICK_SECONDS
from .naming import written_by
from .policies import AUTO
from .reload import Reloader
from .requests import Answers, Caller, Embeddings, InferenceRequest, Inputs
from .service import Service
from .variants import assign, constrained, counterfactual

if TYPE_CHECKING:
    from ...experiments.runtime import Experiments  # with all of the database

log = logging.getLogger(__name__)


class Inference:
    """Answers requests, whatever protocol they came by.

    services: what answers now. experiments: what runs; None if this server keeps no record. Belongs
    to the event loop; cancelling what it returns drops the work.
    """

    def __init__(self, services: Reloader, experiments: Experiments | None) -> None:
        self.services, self.experiments = services, experiments

    async def start(self) -> None:
        """Answer from now on."""
        await self.services.start()
        if self.experiments:
            await self.experiments.start()

    async def stop(self, timeout: float) -> None:
        """Answer what has been accepted, and record what came of it for at most so many seconds."""
        await self.services.stop()
        if self.experiments:
            await self.experiments.stop(timeout)

    def infer(
        self, request: InferenceRequest, caller: Caller, service: Service | None = None
    ) -> Coroutine[Any, Any, Answers]:
        """One decision per text, in order, by the variants that the caller's unit has got.

        Who names a student or a cascade gets it; experiments are for those who ask for `auto`.
        service: the one that the request has had from its beginning, if it has one. Raises
        RequestError for an unknown model, a too long text, a full queue, constraints that cannot be
        met, a deadline that passes.
        """
        service = service or self.services.service
        if self.experiments is None or request.constraints.model != AUTO:
            return answer(service, request.inputs, request.constraints)
        return self._experiment(self.experiments, request, caller, service)

    def embed(
        self,
        inputs: Inputs,
        model: str = AUTO,
        dimensions: int | None = None,
        service: Service | None = None,
    ) -> Coroutine[Any, Any, Embeddings]:
        """A student's vector of each text; `auto` and cascades stand for their last student.

        dimensions: a prefix of the vector, normalised again; None for all. Raises RequestError for
        an unknown model, a too long text, more dimensions than the student has, a full queue.
        """
        return embed(service or self.services.service, inputs, model, dimensions)

    async def _experiment(
        self, experiments: Experiments, request: InferenceRequest, caller: Caller, service: Service
    ) -> Answers:
        """Answer by the variants of the caller's unit, if it has got any, and record it."""
        inputs, constraints = request.inputs, request.constraints
        assigned = assign(experiments, caller)
        if assigned is None:
            return await answer(service, inputs, constraints)
        variants = [each.variant for each in assigned.assignments]
        pinned = self._pinned(variants, service)
        name = written_by(pinned.manifest.architecture.head())
        price = pinned.price_per_second
        started, status, answers = perf_counter(), Reason.INTERNAL.status, None
        try:
            answers = await answer(pinned, inputs, constrained(constraints, variants))
            status = 200
        except RequestError as error:
            status = error.status
            raise
        except asyncio.CancelledError:
            status = Reason.CLIENT_GONE.status
            raise
        finally:
            weights, seconds = pinned.manifest.weights_sha256, perf_counter() - started
            result = RequestResult(status, seconds, len(inputs), weights, answers)
            experiments.record(exposures(assigned, result, name, price))
        for part in answers.parts:
            part.variants = {a.experiment: a.variant.name for a in assigned.assignments}
        for pair in assigned.assignments:
            if pair.other is not None and not pinned.load.level:
                experiments.later(self._other_arm(request, assigned, pair, service))
        return answers

    async def _other_arm(
        self,
        request: InferenceRequest,
        assigned: ExposureContext,
        pair: Assignment,
        service: Service,
    ) -> list[Exposure]:
        """Ask the pair's other variant, when nobody waits."""
        variants = counterfactual(assigned.assignments, pair)
        service = self._pinned(variants, service)
        unhurried = request.constraints._replace(deadline=inf, shadow=True)
        started, status, answers = perf_counter(), 200, None
        try:
            answers = await answer(service, request.inputs, constrained(unhurried, variants))
        except RequestError as error:
            log.info("experiments: the other variant of a pair did not answer: %s", error)
            status = error.status
        weights, seconds = service.manifest.weights_sha256, perf_counter() - started
        result = RequestResult(status, seconds, len(request.inputs), weights, answers)
        name = written_by(service.manifest.architecture.head())
        price = service.price_per_second
        return [counterfactual_arm(assigned, pair, result, name, price)]

    def _pinned(self, variants: Iterable[Variant], service: Service) -> Service:
        """The service of the runner that a variant pins; the given one if none does."""
        pinned = self.services.pinned
        runners = (variant.runner for variant in variants if variant.runner in pinned)
        return pinned.get(next(runners, None) or "", service)


async def answer(service: Service, inputs: Inputs, constraints: RequestConstraints) -> Answers:
    """One decision per text by one service, in order; no experiment has a say here any more."""
    cascade = service.policies[constraints.model]
    inputs.check_kind(service.manifest.architecture.head().inputs)
    if constraints.thresholds is None:
        cascade = service.watch.served(cascade)
    else:
        cascade = cascade.at(constraints.thresholds)
    service.users += 1
    try:
        if service.cache is None:
            return await _compute(service, cascade, constraints, inputs)
        ask = partial(_compute, service, cascade, constraints)
        return await service.cache.answer(cascade, inputs, constraints, ask)
    finally:
        service.users -= 1


async def _compute(
    service: Service, asked: Cascade, constraints: RequestConstraints, inputs: Inputs
) -> Answers:
    """The same, without a look at earlier answers. asked: the cascade of the request's policy."""
    started, texts = perf_counter(), len(inputs.tokens or inputs.texts)
    service.tokenizing.check(inputs, constraints.truncate)
    with service.load.admit(texts, apart=texts > service.queue.largest_small) as admission:
        cascade = asked
        if admission.level and not constraints.shadow:
            cascade = admission.cascade(asked)
        tokens = await service.tokenizing.tokens(
            inputs, admission, constraints.truncate, constraints.deadline
        )
        tokenized = perf_counter()
        service.metrics.tokenize_duration.observe(tokenized - started)
        decisions = Decisions(
            cascade,
            tokens,
            service.ta_flops,
            constraints.min_confidence,
            constraints.max_cost,
            constraints.deadline,
            0 if cascade is asked else admission.level,
            constraints.shadow,
        )
        if constraints.max_cost < inf or constraints.deadline < inf:
            came = started if constraints.arrived is None else constraints.arrived
            check_feasible(decisions, service.durations, came, tokenized, inputs.field)
        admission.tokens(sum(decisions.lengths))
        answered = await service.engine.run(decisions)
        admission.answered()
    if service.shadow and not constraints.shadow:
        service.shadow.consider(answered, inputs.texts if inputs.tokens is None else ())
    return Answers([answered], tokenized - started, perf_counter() - started)


async def embed(
    service: Service, inputs: Inputs, model: str = AUTO, dimensions: int | None = None
) -> Embeddings:
    """A student's vector of each text, by one service."""
    student = service.policies[model].stages[-1].student
    if dimensions is not None and not 1 <= dimensions <= student.spec.dim:
        raise RequestError(
            Reason.OUT_OF_RANGE,
            f"{dimensions}; {student.name!r} has from 1 to {student.spec.dim}",
            "dimensions",
        )
    service.tokenizing.check(inputs, truncate=False)
    service.users += 1
    try:
        with service.load.admit(len(inputs), apart=True) as admission:
            tokens = await service.tokenizing.tokens(inputs, admission)
            vectors = await _vectors(service, tokens, student.name, dimensions or student.spec.dim)
    finally:
        service.users -= 1
    if not np.isfinite(vectors).all():
        raise internal_error(f"an embedding by {student.name!r}: it is not finite, and so")
    return Embeddings(vectors, sum(map(len, tokens)))


async def _vectors(
    service: Service, tokens: list[list[int]], student: str, dimensions: int
) -> NDArray[np.float32]:
    try:
        return await service.embedder.embed(tokens, student, dimensions)
    except ExecutorGoneError:
        while not service.ready:
            await asyncio.sleep(TICK_SECONDS)
    return await service.embedder.embed(tokens, student, dimensions)
