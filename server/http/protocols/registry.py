"""All routers of the server. A new protocol is a folder beside this file, and a line here."""

from __future__ import annotations

from fastapi import APIRouter

from ...console import routes as console
from . import huggingface, openai, tei
from .admin import guarantees, health, reload
from .experiments import declared, outcomes
from .native import classify, models
from .oip import infer as oip_infer
from .oip import models as oip_models

ROUTERS: tuple[APIRouter, ...] = (
    classify.router,
    openai.router,
    oip_infer.router,
    oip_models.router,
    huggingface.router,
    tei.router,
    tei.about,
    models.router,
    declared.router,
    outcomes.router,
    reload.router,
    guarantees.router,
    health.router,
    console.router,
)
