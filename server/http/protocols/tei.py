"""text-embeddings-inference: `POST /predict` with every label's score, `GET /info`."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Literal, NotRequired

from fastapi import APIRouter
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ...core.constraints import RequestConstraints
from ...core.requests import Inputs
from ...core.tokenizing import TOKENIZER_THREADS
from ...errors import Reason, RequestError
from ..answer_headers import answer_headers
from ..answering import answer
from ..body import check_fields, check_flag, check_texts, read_json, shown, wrong_type
from ..errors import TEI
from ..route import (
    MeasuredRoute,
    ProtocolRoute,
    json_response,
    json_shown,
    request_body,
    service_of,
)
from .scores import Score, logits, probabilities, ranked

router = APIRouter(route_class=MeasuredRoute, tags=["text-embeddings-inference"])
about = APIRouter(route_class=ProtocolRoute, tags=["text-embeddings-inference"])
RIGHT = "Right"


class PredictRequest(TypedDict):
    """A string or [string] is one text; [[string], …] is a batch.

    truncate: answer a too long text by its beginning. truncation_direction: which end is cut off,
    always the right one. raw_scores: logits, not probabilities. A null counts as left out.
    """

    inputs: str | list[str] | list[list[str]]
    truncate: NotRequired[bool | None]
    truncation_direction: NotRequired[Literal["Right"] | None]
    raw_scores: NotRequired[bool | None]


class ClassifierInfo(TypedDict):
    """The labels, both ways."""

    id2label: dict[str, str]
    label2id: dict[str, int]


class ModelType(TypedDict):
    """Always a classifier."""

    classifier: ClassifierInfo


class Info(TypedDict):
    """max_concurrent_requests: texts accepted and not yet answered. model_sha: of the weights."""

    model_id: str
    model_sha: str
    model_dtype: str
    model_type: ModelType
    max_concurrent_requests: int
    max_input_length: int
    max_batch_tokens: int
    max_batch_requests: int
    max_client_batch_size: int
    auto_truncate: bool
    tokenization_workers: int
    version: str
    sha: str | None
    docker_label: str | None


_INFO = {
    "model_id": "clinc150",
    "model_sha": "60b7c288200d",
    "model_dtype": "float32",
    "model_type": {"classifier": {"id2label": {"0": "alarm"}, "label2id": {"alarm": 0}}},
    "max_input_length": 512,
    "max_client_batch_size": 1024,
}


@router.post(
    "/predict",
    summary="All labels' scores, in the form of text-embeddings-inference",
    response_model=None,
    responses={
        200: json_shown(
            [{"score": 0.999127, "label": "translate"}], list[Score] | list[list[Score]]
        ),
        **TEI.documented(),
    },
    openapi_extra=request_body(
        TypeAdapter(PredictRequest).json_schema(), {"inputs": "how do i say goodbye in french"}
    ),
)
async def predict(request: Request) -> Response:
    """One text answers a list of scores, a batch answers a list of such lists.

    The default cascade answers; scores are calibrated probabilities of the student that did.
    """
    service = service_of(request)
    body = check_fields(
        await read_json(request, service.settings.max_body_bytes),
        ("inputs", "truncate", "truncation_direction", "raw_scores"),
    )
    _check_direction(body.get("truncation_direction"))
    truncate, raw = check_flag(body, "truncate"), check_flag(body, "raw_scores")
    inputs = check_texts(_inputs(body["inputs"]), service.settings.max_client_batch)
    answers = await answer(request, inputs, RequestConstraints(truncate=truncate))
    scores = logits(answers.decisions) if raw else probabilities(answers.decisions)
    shown = ranked(scores, service.manifest.architecture.labels)
    headers = answer_headers(answers, service.device)
    return json_response(shown[0] if inputs.single else shown, headers=headers)


@about.get(
    "/info",
    summary="Model and limits, in the form of text-embeddings-inference",
    response_model=None,
    responses={200: json_shown(_INFO, Info)},
)
async def info(request: Request) -> Response:
    """What its clients read before they send texts."""
    service = service_of(request)
    manifest, settings = service.manifest, service.settings
    labels = manifest.architecture.labels
    body: Info = {
        "model_id": manifest.path.name,
        "model_sha": manifest.weights_sha256,
        "model_dtype": settings.dtype,
        "model_type": {
            "classifier": {
                "id2label": {str(index): label for index, label in enumerate(labels)},
                "label2id": {label: index for index, label in enumerate(labels)},
            }
        },
        "max_concurrent_requests": settings.max_queued_requests,
        "max_input_length": min(manifest.architecture.max_tokens, settings.max_batch_tokens),
        "max_batch_tokens": settings.max_batch_tokens,
        "max_batch_requests": settings.max_batch_requests,
        "max_client_batch_size": settings.max_client_batch,
        "auto_truncate": False,
        "tokenization_workers": TOKENIZER_THREADS,
        "version": version("nestling"),
        "sha": None,
        "docker_label": None,
    }
    return json_response(body)


def _check_direction(value: Any) -> None:
    if value not in (None, RIGHT):
        raise RequestError(
            Reason.OUT_OF_RANGE,
            f"{shown(value)}; a text is cut at its end only, which is {RIGHT!r}",
            "truncation_direction",
            known=[RIGHT],
        )


def _inputs(value: Any) -> Inputs:
    if not isinstance(value, list):
        return Inputs([value], single=True)
    if value and isinstance(value[0], list):
        return Inputs([_only(item, f"inputs[{i}]") for i, item in enumerate(value)], single=False)
    return Inputs([_only(value, "inputs")] if value else [], single=True)


def _only(texts: Any, field: str) -> Any:
    """The text in a list of one; in this protocol a list of two is a pair of texts."""
    if not isinstance(texts, list):
        raise wrong_type(field, texts, "a list with one text, as the first")
    if len(texts) != 1:
        raise RequestError(
            Reason.WRONG_TYPE if texts else Reason.EMPTY,
            f"{len(texts)} texts, where this protocol has one text or a pair, and this checkpoint "
            'classifies no pairs; a batch is [["…"], ["…"]]',
            field,
        )
    return texts[0]
