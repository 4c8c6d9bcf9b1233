"""A plan in words, as tables, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .plan import Deployment, PlannedPolicy, PlanRequest
from .profile.estimate import Estimate
from .profile.profile import Profile
from .traffic import Shape

if TYPE_CHECKING:
    from rich.table import Table

LIMITS = {"http": "HTTP", "device": "device"}


def heading(
    hardware: Profile | Estimate, host: Profile, shape: Shape, request: PlanRequest
) -> Iterator[str]:
    """What the numbers rest on, a sentence or two per line."""
    if isinstance(hardware, Estimate):
        guesses = ", ".join(
            f"{g.name} ({g.utilisation:.0%} of the data sheet, {1e6 * g.launch:g} µs per launch)"
            for g in hardware.guesses
        )
        yield (
            f"ESTIMATED, NOT MEASURED: nobody has run this on {hardware.name}. The time of a batch "
            f"is a roofline from its data sheet, for several guesses: {guesses}. All else is as "
            f"measured on {host.name}."
        )
        yield (
            "To measure instead, on such a machine: nestling plan measure CHECKPOINT --data FILE "
            f"--device {hardware.device} --out {hardware.name}.json; then --hardware "
            f"{hardware.name}.json"
        )
    else:
        machine = f"{hardware.hardware['cpu']}, {hardware.hardware['cores']} cores"
        yield (
            f"Measured on {hardware.name} ({machine}), {hardware.date[:10]}, runner "
            f"{hardware.runner}."
        )
    yield (
        f"Traffic: {shape.name}; simulated are {shape.seconds:g} s, whose rate is "
        f"{shape.peak:.2f} times the trace's mean. Texts: {host.workload.data}, one per request."
    )
    yield (
        f"Objective: 99 % within {1e3 * request.objective:g} ms. {request.headroom:.0%} of a "
        f"replica is left free at the peak; {request.spare} spare."
    )


def capacities(planned: Sequence[PlannedPolicy]) -> Table:
    """What one replica of each policy holds."""
    from rich.table import Table

    table = Table(title="One replica")
    for column in ("policy", "holds", "p50", "p99", "HTTP busy", "device busy", "texts per batch",
                   "limit", "at most"):  # fmt: skip
        table.add_column(column, justify="left" if column in ("policy", "limit") else "right")
    for each in planned:
        found = each.capacity.summary
        table.add_row(
            _name(each),
            f"{each.capacity.rate:,.0f}/s",
            f"{1e3 * found.p50:.1f} ms",
            f"{1e3 * found.p99:.1f} ms",
            f"{found.http:.0%}",
            f"{found.worker:.0%}",
            f"{found.texts_per_batch:.1f}",
            LIMITS[each.capacity.bound.limit],
            f"{each.capacity.bound.rate:,.0f}/s",
        )
    return table


def deployments(planned: Sequence[PlannedPolicy], request: PlanRequest) -> Table:
    """What each rate needs."""
    from rich.table import Table

    table = Table(title="Replicas")
    for column in ("requests per second", "policy", "replicas", "machines", "HTTP busy",
                   "device busy", "per million requests"):  # fmt: skip
        table.add_column(column, justify="left" if column == "policy" else "right")
    for number, rate in enumerate(request.rates):
        for last, each in ((each is planned[-1], each) for each in planned):
            deployment = each.deployments[number]
            price = (
                f"{deployment.per_million:,.4g}"
                if request.price_per_hour
                else "no --price-per-hour"
            )
            table.add_row(
                f"{rate:,.0f}",
                _name(each),
                f"{deployment.replicas:,}",
                f"{deployment.machines:,}",
                f"{deployment.http:.0%}",
                f"{deployment.device:.0%}",
                price,
                end_section=last,
            )
    return table


def comparison(planned: Sequence[PlannedPolicy]) -> Iterator[str]:
    """The last policy against the first, for each guess, one line each."""
    for guess in dict.fromkeys(each.guess for each in planned):
        first, *_, last = [each for each in planned if each.guess == guess] * 2
        if first.model == last.model:
            continue
        ratio, bound = last.capacity.rate / first.capacity.rate, last.capacity.bound
        line = (
            f"{guess}{guess and ': '}a replica holds {ratio:.2f} times as many requests with "
            f"{last.model} as with {first.model}; {LIMITS[bound.limit]} limits {last.model}"
        )
        if bound.limit == "http" and bound.http >= 2 * bound.device:
            line += (
                f", and the device is busy {bound.device:.0%} of the time: by that, "
                f"{bound.http / bound.device:.0f} replicas could share one (--per-machine)"
            )
        yield line + "."


def summary(
    hardware: Profile | Estimate,
    shape: Shape,
    request: PlanRequest,
    planned: Sequence[PlannedPolicy],
) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "benchmark": "plan",
        "hardware": hardware.name,
        "measured": hardware.measured,
        "trace": {"name": shape.name, "seconds": shape.seconds, "begin": shape.begin,
                  "peak": round(shape.peak, 4)},
        "wish": asdict(request),
        "policies": [
            {
                "model": each.model,
                "guess": each.guess,
                "holds_per_second": round(each.capacity.rate, 2),
                "at_most_per_second": round(each.capacity.bound.rate, 2),
                "limit": each.capacity.bound.limit,
                "p50_ms": round(1e3 * each.capacity.summary.p50, 3),
                "p99_ms": round(1e3 * each.capacity.summary.p99, 3),
                "http": round(each.capacity.summary.http, 4),
                "device": round(each.capacity.summary.worker, 4),
                "students": {k: round(v, 4) for k, v in each.capacity.summary.students.items()},
                "fleets": [_rounded(deployment) for deployment in each.deployments],
            }
            for each in planned
        ],
    }  # fmt: skip


def _rounded(deployment: Deployment) -> dict[str, float]:
    return {name: float(f"{value:.5g}") for name, value in asdict(deployment).items()}


def _name(planned: PlannedPolicy) -> str:
    return f"{planned.model}, {planned.guess}" if planned.guess else planned.model
