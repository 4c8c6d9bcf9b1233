"""The one way from a request to its answers, for every protocol: variant, service, record."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from math import inf
from time import perf_counter

from ...experiments.assignment import Assignment
from ...experiments.definition import Variant
from ...experiments.exposures import ExposureContext, RequestResult, counterfactual_arm, exposures
from ...experiments.records import Exposure
from ...experiments.runtime import Experiments
from ..errors import STATUS, Reason, RequestError
from .policies import AUTO
from .reload import Reloader
from .requests import Answers, Caller, Embeddings, InferenceRequest, Inputs
from .service import Service
from .variants import assign, constrained, counterfactual

log = logging.getLogger(__name__)


class Inference:
    """Answers requests, whatever protocol they came by.

    services: what answers now. experiments: what runs; None if this server keeps no record. Belongs
    to the event loop; cancelling what it returns drops the work.
    """

    def __init__(self, services: Reloader, experiments: Experiments | None) -> None:
        self.services, self.experiments = services, experiments

    async def infer(
        self, request: InferenceRequest, caller: Caller, service: Service | None = None
    ) -> Answers:
        """One decision per text, in order, by the variants that the caller's unit has got.

        Who names a student or a cascade gets it; experiments are for those who ask for `auto`.
        service: the one that the request has had from its beginning, if it has one. Raises what
        `Service.answer` raises.
        """
        service = service or self.services.service
        inputs, constraints = request.inputs, request.constraints
        assigned = None
        if self.experiments is not None and constraints.model == AUTO:
            assigned = assign(self.experiments, caller)
        if self.experiments is None or assigned is None:
            return await service.answer(inputs, constraints)
        variants = [each.variant for each in assigned.assignments]
        service = self._pinned(variants, service)
        labels, price = service.manifest.architecture.labels, service.price_per_second
        started, status, answers = perf_counter(), STATUS[Reason.INTERNAL], None
        try:
            with service.using():
                answers = await service.answer(inputs, constrained(constraints, variants))
            status = 200
        except RequestError as error:
            status = error.status
            raise
        finally:
            result = RequestResult(status, perf_counter() - started, len(inputs), answers)
            self.experiments.record(exposures(assigned, result, labels, price))
        for decision in answers.decisions:
            decision.variants = {a.experiment: a.variant.name for a in assigned.assignments}
        for pair in assigned.assignments:
            if pair.other is not None and not service.browned_out:
                self.experiments.later(self._other_arm(request, assigned, pair, service))
        return answers

    async def embed(
        self,
        inputs: Inputs,
        model: str = AUTO,
        dimensions: int | None = None,
        service: Service | None = None,
    ) -> Embeddings:
        """A student's vector of each text. Raises what `Service.embed` raises."""
        return await (service or self.services.service).embed(inputs, model, dimensions)

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
        unhurried = replace(request.constraints, deadline=inf, shadow=True)
        started = perf_counter()
        try:
            with service.using():
                answers = await service.answer(request.inputs, constrained(unhurried, variants))
        except RequestError as error:
            log.info("experiments: the other variant of a pair did not answer: %s", error)
            return []
        result = RequestResult(200, perf_counter() - started, len(request.inputs), answers)
        labels, price = service.manifest.architecture.labels, service.price_per_second
        return [counterfactual_arm(assigned, pair, result, labels, price)]

    def _pinned(self, variants: Iterable[Variant], service: Service) -> Service:
        """The service of the runner that a variant pins; the given one if none does."""
        pinned = self.services.pinned
        runners = (variant.runner for variant in variants if variant.runner in pinned)
        return pinned.get(next(runners, None) or "", service)
