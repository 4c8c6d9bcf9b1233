"""Text to token ids, by Hugging Face's Rust tokenizers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer


class TextTokenizer:
    """Encodes texts with the model's special tokens, without padding or truncation.

    path: a `tokenizer.json`. Raises ValueError if it is none.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises a bare Exception
            raise ValueError(f"{path}: not a tokenizer.json ({error})") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text. Releases the interpreter lock while it works."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def encode_truncated(self, text: str, limit: int) -> list[int]:
        """Token ids of a text's beginning: at most `limit`, special tokens included."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        encoding.truncate(limit - self._tokenizer.num_special_tokens_to_add(False))
        return list(self._tokenizer.post_process(encoding).ids)
