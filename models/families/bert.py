"""BERT, MiniLM and sentence-transformers encoders of the BERT architecture."""

from __future__ import annotations

from .encoder import EncoderFamily

BERT = EncoderFamily(
    name="bert",
    model="BertForSequenceClassification",
    prefix="bert.",
    pooler="bert.pooler.dense",
    classifier="classifier",
    token_types=True,
    position_offset=0,
    special_tokens={"pad_token_id": 0},
)
