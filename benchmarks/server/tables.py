"""The tables of what was measured of the server, each made from its JSON.

Not a benchmark itself.
"""

from __future__ import annotations

from collections.abc import Callable

from ..markup import measured, percent, table

BASE = "the default, `torch`, before this rule"
FIGURES = {
    "requests_per_second": ("requests per second, 64 connections", 0),
    "cpu_us_per_request": ("CPU time of all processes per request, µs", 0),
    "p50_ms_alone": ("p50 of a request alone, ms", 1),
    "texts_per_second_in_lists": ("texts per second, lists of 256", 0),
    "list_cpu_us_per_text_tiny": ("server's CPU time per text, lists, `tiny`, µs", 0),
    "list_cpu_us_per_text_auto": ("the same, `auto`", 0),
    "list_cpu_us_per_text_all_labels": ("the same, scores of all labels", 0),
    "memory_mib": ("memory of all processes, MiB", 0),
    "ready_seconds": ("from the command to ready, s", 1),
}
"""Of `against`, in words, with digits after the point."""


def against() -> list[str]:
    """An earlier version beside this one."""
    rows = []
    for name, row in measured("against")["figures"].items():
        words, digits = FIGURES[name]
        both = [f"{row[version]:,.{digits}f}" for version in ("before", "now")]
        low, high = row["from_to"]
        rows.append([words, *both, f"{row['now_over_before']:.2f} ({low:.2f} to {high:.2f})"])
    return table(" | before | now | ratio of a round", rows)


def start() -> list[str]:
    """CPU seconds of a start and stop, and memory, by runner."""
    rows = [
        [
            BASE if runner == "base_default" else f"`{runner}`",
            f"{row['first']['cpu_seconds']:.1f}",
            f"{row['later']['cpu_seconds']:.1f}",
            f"{row['later']['mib']:.0f} MiB",
            f"{row['cache_mib']} MiB" if row["cache_mib"] else "",
        ]
        for runner, row in measured("start")["runners"].items()
    ]
    return table("runner | first start | later starts | memory then | cache", rows)


def graphs() -> list[str]:
    """CPU time per text by student and size of the group, here and in the installation before."""
    sizes = measured("graphs")["cpu_microseconds_per_text"]
    rows = [
        [f"`{student}`"] + [f"{row['base']:,.0f} → {row['here']:,.0f}" for row in by_size.values()]
        for student, by_size in sizes.items()
    ]
    return table("µs of CPU time per text | alone | of 8 | of 32 | of 256", rows)


def brownout() -> list[str]:
    """Overload with brownout and without."""
    rows = []
    for name, run in measured("brownout")["runs"].items():
        statuses = run["statuses"]
        every = sum(statuses.values())
        lost = "429" if name == "brownout" else "timeout"
        why = "turned away" if name == "brownout" else "given up after 5 s"
        rows.append(
            [
                name,
                f"{run['accepted_per_second']:,.0f}",
                f"{run['goodput_per_second']:,.0f}",
                f"{run['latency_ms']['p99']:,.0f} ms",
                percent(run["accuracy"]),
                f"{statuses[lost] / every:.0%} {why}".replace("%", " %", 1),
            ]
        )
    head = " | answers per second | within 200 ms, per second | p99 | accuracy | not answered"
    return table(head, rows)


def overhead() -> list[str]:
    """CPU time of a request outside the model, by part."""
    loads = measured("overhead")["loads"]
    full, steady = loads["saturated"], loads["steady"]
    rows = [
        [part, f"{us:,.0f}", f"{steady['parts_us'][part]:,.0f}"]
        for part, us in sorted(full["parts_us"].items(), key=lambda item: -item[1])
    ]
    sums = [f"**{load['outside_model_us']:,}**" for load in (full, steady)]
    rows.append(["**outside the model**", *sums])
    rows.append(["model", *(f"{load['model_us']:,}" for load in (full, steady))])
    rate = f"{measured('overhead')['rate_per_second']} per second"
    return table(f"µs of CPU time per request | all cores full | at {rate}", rows)


def around() -> list[str]:
    """CPU time of a text around the model, by load and part."""
    loads = measured("around")["us_per_text"]
    parts = sorted({part for load in loads.values() for part in load["parts"]})
    parts.sort(key=lambda part: -loads["single"]["parts"].get(part, 0.0))
    rows = [[part, *(f"{x['parts'].get(part, 0):.1f}" for x in loads.values())] for part in parts]
    rows.append(["**all**", *(f"**{load['all']:.1f}**" for load in loads.values())])
    return table("µs per text | single texts | lists, `tiny` | lists, `auto` | all labels", rows)


TABLES: dict[str, Callable[[], list[str]]] = {
    "against": against,
    "graphs": graphs,
    "start": start,
    "brownout": brownout,
    "overhead": overhead,
    "around": around,
}
