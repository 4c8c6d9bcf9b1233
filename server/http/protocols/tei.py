"""text-embeddings-inference: `POST /predict` with every label's score, `GET /info`."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WrapValidator
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ....models.inputs.text import Text, joined
from ....models.json_checks import refusal, wrong_type
from ...core.constraints import RequestConstraints
from ...core.tokenizing import TOKENIZER_THREADS
from ...errors import Reason, RequestError
from ..answering import answer
from ..body import Body, inputs_of, read
from ..body_errors import Otherwise
from ..errors import TEXT, ErrorFormat, object_schema
from ..headers import answer_headers
from ..openapi import json_shown, request_body
from ..route import MeasuredRoute, ProtocolRoute, json_response, rendered, service_of
from .scores import LabelScore, as_list, logits, probabilities, ranked

ERROR_TYPES = {
    Reason.EMPTY: "Empty",
    Reason.OVERLOADED: "Overloaded",
    Reason.INTERNAL: "Backend",
    Reason.DEADLINE: "Backend",
}
"""As its server sends them; the examples in its documentation write them small."""


def _error(error: RequestError) -> dict[str, Any]:
    return {"error": str(error), "error_type": ERROR_TYPES.get(error.reason, "Validation")}


TEI = ErrorFormat(
    _error,
    object_schema(error=TEXT, error_type={"enum": sorted({"Validation", *ERROR_TYPES.values()})}),
    {
        Reason.EMPTY: 400,
        Reason.TOO_LONG: 413,
        Reason.TOO_MANY: 413,
        Reason.INTERNAL: 424,
        Reason.DEADLINE: 424,
    },
)
TAGS = ["text-embeddings-inference"]
router = APIRouter(route_class=MeasuredRoute.rendering(TEI), tags=[*TAGS])
about = APIRouter(route_class=ProtocolRoute.rendering(TEI), tags=[*TAGS])
ONE, ALONE, BATCH = "a string or a list of strings", "a string in the list", "a list of lists"
"""What errors call the three forms of inputs."""


def _one_or_pair(texts: Any) -> Any:
    """A list of one or two texts, as the protocol has a text or a pair."""
    if not isinstance(texts, list):
        raise wrong_type("a list with one text, as the first", texts)
    if len(texts) not in (1, 2):
        raise refusal(
            Reason.WRONG_TYPE if texts else Reason.EMPTY,
            f"{len(texts)} texts, where this protocol has one text or a pair; a batch is "
            '[["…"], ["…"]]',
        )
    return texts


def _form(inputs: Any) -> str:
    """The first element says which; an empty list is a batch without a text."""
    if not isinstance(inputs, list):
        return ONE
    return ALONE if inputs and not isinstance(inputs[0], list) else BATCH


_Listed = Annotated[list[str], Field(min_length=1, max_length=2)]
Only = Annotated[
    list[str],
    BeforeValidator(_one_or_pair, json_schema_input_type=_Listed),
    AfterValidator(joined),
]


def _batch(texts: list[Any], check: Callable[[list[Any]], list[Text]]) -> list[Text]:
    """As `check` has it, which takes a call for each text, and says what is wrong with one."""
    if all(type(each) is list and len(each) == 1 and type(each[0]) is str for each in texts):
        return [each[0] for each in texts]
    found = check(texts)
    if len({type(each) for each in found}) > 1:
        raise refusal(Reason.WRONG_TYPE, "texts and pairs of texts in one batch")
    return found


Batch = Annotated[list[Only], Field(fail_fast=True), WrapValidator(_batch)]


class PredictRequest(Body):
    """A string or [string] is one text, [string, string] a pair; [[string], …] and
    [[string, string], …] are batches.

    truncate: answer a too long text by its beginning. truncation_direction: which end is cut off,
    always the right one. raw_scores: logits, not probabilities. A null counts as left out.
    """

    inputs: Annotated[
        Annotated[str, Tag(ONE)] | Annotated[Only, Tag(ALONE)] | Annotated[Batch, Tag(BATCH)],
        Discriminator(_form),
    ]
    truncate: bool | None = None
    truncation_direction: Annotated[
        Literal["Right"] | None,
        Otherwise("a text is cut at its end only, which is 'Right'"),
    ] = None
    raw_scores: bool | None = None


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
            [{"score": 0.998069, "label": "translate"}], list[LabelScore] | list[list[LabelScore]]
        ),
        **TEI.documented(),
    },
    openapi_extra=request_body(PredictRequest, {"inputs": "how do i say goodbye in french"}),
)
async def predict(request: Request) -> Response:
    """One text answers a list of scores, a batch answers a list of such lists.

    The default cascade answers; scores are calibrated probabilities of the student that did. The
    list is empty where the cascade abstains, since the text is out of scope.
    """
    service = service_of(request)
    body = await read(request, PredictRequest, service.settings.max_body_bytes)
    inputs = inputs_of(body.inputs, service.settings.max_client_batch)
    if inputs.pairs and service.manifest.architecture.head().inputs == "text":
        raise RequestError(
            Reason.WRONG_TYPE,
            "2 texts are a pair in this protocol, and this checkpoint classifies no pairs; a batch "
            'is [["…"], ["…"]]',
            inputs.field(0),
        )
    answers = await answer(request, inputs, RequestConstraints(truncate=bool(body.truncate)))
    head = service.manifest.architecture.head()
    scores = logits(answers) if body.raw_scores else probabilities(answers, head)
    rows = ranked(scores, head.labels, answers.told.abstained)
    headers = answer_headers(answers, service.device)
    return rendered(rows[0] if inputs.single else as_list(rows), headers=headers)


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
    labels = manifest.architecture.head().labels
    body: Info = {
        "model_id": manifest.path.name,
        "model_sha": manifest.weights_sha256,
        "model_dtype": service.precision,
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
