"""The metrics: all there at zero, then in step with the answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nestling.server.errors import Reason, Refusal
from nestling.server.telemetry.guarantee import Unwatched

from ..serving import Server, serve

STUDENTS = ("tiny", "small", "ta")
CODES = {200, *(reason.status for reason in Reason)}
SECONDS, TOKENS, TEXTS, CONFIDENCES = 15, 15, 12, 15
"""Buckets, +Inf among them."""


@pytest.fixture(scope="module")
def fresh(calibrated_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("fresh") / "log"
    with serve(calibrated_dir, log, "--price-per-hour", "3600") as running:
        yield running


def test_every_series_exists_at_zero(fresh: Server) -> None:
    series = {k: v for k, v in fresh.metrics().items() if k.startswith("nestling_")}
    endpoints = {
        key.split("endpoint=")[1].removesuffix("}") for key in series if "endpoint=" in key
    }
    endpoints = {endpoint.split(",")[0] for endpoint in endpoints}
    assert {"/v1/classify", "/predict", "/admin/reload"} <= endpoints
    expected = {
        "nestling_requests_total": len(endpoints) * len(CODES),
        "nestling_request_duration_seconds_bucket": len(endpoints) * SECONDS,
        "nestling_request_duration_seconds_count": len(endpoints),
        "nestling_request_duration_seconds_sum": len(endpoints),
        "nestling_queue_duration_seconds_bucket": SECONDS,
        "nestling_queue_duration_seconds_count": 1,
        "nestling_queue_duration_seconds_sum": 1,
        "nestling_tokenize_duration_seconds_bucket": SECONDS,
        "nestling_tokenize_duration_seconds_count": 1,
        "nestling_tokenize_duration_seconds_sum": 1,
        "nestling_inference_duration_seconds_bucket": SECONDS,
        "nestling_inference_duration_seconds_count": 1,
        "nestling_inference_duration_seconds_sum": 1,
        "nestling_answer_duration_seconds_bucket": SECONDS * len(STUDENTS),
        "nestling_answer_duration_seconds_count": len(STUDENTS),
        "nestling_answer_duration_seconds_sum": len(STUDENTS),
        "nestling_batch_texts_bucket": TEXTS,
        "nestling_batch_texts_count": 1,
        "nestling_batch_texts_sum": 1,
        "nestling_confidence_bucket": CONFIDENCES * len(STUDENTS),
        "nestling_confidence_count": len(STUDENTS),
        "nestling_confidence_sum": len(STUDENTS),
        "nestling_escalations_total": 3,
        "nestling_cost_total": 1,
        "nestling_ta_cost_total": 1,
        "nestling_build_info": 1,
        "nestling_shadow_texts_total": (3 + 2) * 2,
        "nestling_shadow_disagreement_ratio": 2 * 2,
        "nestling_shadow_repeats_ratio": 2,
        "nestling_shadow_unwatched_total": len(Unwatched),
        "nestling_guarantee_broken": 2,
        "nestling_guarantee_broken_timestamp_seconds": 2,
        "nestling_guarantee_steps": 2,
        "nestling_guarantee_tightened_timestamp_seconds": 2,
        "nestling_guarantee_tightenings_total": 2,
        "nestling_shadow_log_errors_total": 1,
        "nestling_batch_tokens_bucket": TOKENS,
        "nestling_batch_tokens_count": 1,
        "nestling_batch_tokens_sum": 1,
        "nestling_brownout_level": 1,
        "nestling_processes": 1,
        "nestling_process_restarts_total": 1,
        "nestling_runner_restarts_total": 1,
        "nestling_device_failures_total": 1,
        "nestling_brownout_answers_total": 3,
        "nestling_stage_answers_total": len(STUDENTS) * 4,
        "nestling_scope_escalations_total": len(STUDENTS),
        "nestling_device_seconds_total": len(STUDENTS),
        "nestling_errors_total": len(Reason),
        "nestling_connection_refusals_total": len(Refusal),
        "nestling_flops_total": 1,
        "nestling_ta_flops_total": 1,
        "nestling_tokens_total": 1,
        "nestling_queue_requests": 1,
        "nestling_requests_running": 1,
        "nestling_answer_cache_entries": 1,
        "nestling_answer_cache_hits_total": 1,
        "nestling_answer_cache_misses_total": 1,
    }
    counted: dict[str, int] = {}
    for name in series:
        base = name.split("{")[0]
        counted[base] = counted.get(base, 0) + 1
    assert counted == expected
    ones = {k for k in series if k.startswith("nestling_build_info") or "bound=upper" in k}
    ones.add("nestling_processes")
    assert {series[k] for k in ones} == {1}
    assert {value for k, value in series.items() if k not in ones} == {0}


def test_counts_agree_with_the_answers(fresh: Server, texts: list[str]) -> None:
    before = fresh.metrics()
    answers = [*fresh.classify(texts[:50]), fresh.classify(texts[50], model="tiny")]
    fresh.client.post("/v1/classify", json={"inputs": ""})
    fresh.client.post("/predict", json={"inputs": texts[51], "model": "tiny"})
    fresh.client.post("/v1/classify", content=b"{")
    fresh.client.get("/nothing")
    after = fresh.metrics()

    def rise(series: str) -> float:
        return after[series] - before[series]

    assert rise("nestling_requests_total{code=200,endpoint=/v1/classify}") == 2
    assert rise("nestling_requests_total{code=422,endpoint=/v1/classify}") == 1
    assert rise("nestling_requests_total{code=400,endpoint=/v1/classify}") == 1
    assert rise("nestling_requests_total{code=422,endpoint=/predict}") == 1
    assert rise("nestling_request_duration_seconds_count{endpoint=/v1/classify}") == 4
    for reason in ("empty", "unknown_field", "invalid_json", "not_found"):
        assert rise(f"nestling_errors_total{{reason={reason}}}") == 1
    decisions = [answer["decision"] for answer in answers]
    for student in STUDENTS:
        for outcome in ("accepted", "escalated"):
            assert rise(
                f"nestling_stage_answers_total{{outcome={outcome},student={student}}}"
            ) == sum(
                step["student"] == student and step["accepted"] == (outcome == "accepted")
                for decision in decisions
                for step in decision["path"]
            )
    assert rise("nestling_tokens_total") == sum(d["tokens"] for d in decisions)
    assert rise("nestling_flops_total") == sum(d["flops"] for d in decisions)
    assert rise("nestling_ta_flops_total") == pytest.approx(
        sum(d["flops"] / d["relative_cost"] for d in decisions), rel=1e-3
    )
    spent = sum(rise(f"nestling_device_seconds_total{{student={s}}}") for s in STUDENTS)
    assert spent == pytest.approx(sum(d["device_seconds"] for d in decisions), rel=1e-2)
    assert rise("nestling_cost_total") == pytest.approx(spent)  # at 3600 an hour
    assert rise("nestling_ta_cost_total") > 0
    for student in STUDENTS:
        count = f"nestling_answer_duration_seconds_count{{student={student}}}"
        assert rise(count) == sum(d["student"] == student for d in decisions)
    steps = sum(len(d["path"]) for d in decisions)
    passed_on = sum(rise(k) for k in after if k.startswith("nestling_escalations_total"))
    assert passed_on == steps - len(decisions)
    heard = sum(rise(f"nestling_confidence_count{{student={s}}}") for s in STUDENTS)
    assert heard == steps
    assert rise("nestling_queue_duration_seconds_count") == steps
    assert rise("nestling_batch_tokens_sum") == sum(len(d["path"]) * d["tokens"] for d in decisions)
    assert after["nestling_queue_requests"] == after["nestling_requests_running"] == 0
