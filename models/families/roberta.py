"""RoBERTa: BERT's encoder; positions count from 2; dense layer and classifier in one head."""

from __future__ import annotations

from .encoder import EncoderFamily

ROBERTA = EncoderFamily(
    name="roberta",
    model="RobertaForSequenceClassification",
    prefix="roberta.",
    pooler="classifier.dense",
    classifier="classifier.out_proj",
    token_types=False,
    position_offset=2,  # padding_idx + 1
    special_tokens={"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2},
)
