"""Captions made into prompts by a chat model: one clear sentence, no names, nothing unsafe; for video with motion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from generators.catalog.pipelines import free_memory
from generators.library_errors import typed_errors
from generators.prompts.chat import drawn_from, open_model
from generators.prompts.rows import PromptRow
from generators.prompts.wording import tidy
from subnet.errors import GenerationError
from subnet.types import Modality

TOKENS = 96

_RULES = (
    "You turn rough notes about a photograph into one description for a picture generator. Keep what is seen, drop "
    "repetition. Never use names of people, brands or artists: say 'a woman', 'a drink'. Leave out anything sexual, "
    "cruel or hateful. Answer with the description alone, at most forty words."
)
_MOTION = " Then add one short sentence that says what moves, and one slow move of the camera."


def load_rephraser(
    row: PromptRow, *, device: str = "cpu", token: str | None = None, cache: Path | None = None
) -> Rephraser:
    """The rephraser of a row of `REPHRASERS`, its weights read. Raises SettingsError or GenerationError."""
    model, tokenizer = open_model(row, "AutoModelForCausalLM", "AutoTokenizer", device, token, cache)
    return Rephraser(row.name, model, tokenizer, device)


def messages(caption: str, modality: Modality) -> list[dict[str, str]]:
    """The conversation that asks for a prompt."""
    rules = _RULES + (_MOTION if modality is Modality.VIDEO else "")
    return [{"role": "system", "content": rules}, {"role": "user", "content": f"Notes: {caption}"}]


class Rephraser:
    """Writes prompts from captions. `close` frees its weights."""

    def __init__(self, name: str, model: Any, tokenizer: Any, device: str = "cpu") -> None:
        self.name = name
        self._model, self._tokenizer, self._device = model, tokenizer, device

    def rephrase(self, caption: str, modality: Modality, rng: np.random.Generator) -> str:
        """The model's description, tidied; what to do with an empty or refused one is the caller's business."""
        if self._model is None:
            raise GenerationError(f"rephraser {self.name!r} was closed")
        inputs = self._tokenizer.apply_chat_template(
            messages(caption, modality), add_generation_prompt=True, return_tensors="pt", return_dict=True
        ).to(self._model.device)
        with typed_errors(f"rephraser {self.name!r}"), drawn_from(rng, self._device):
            tokens = self._model.generate(
                **inputs,
                max_new_tokens=TOKENS,
                do_sample=True,
                temperature=0.7,
                top_p=0.9,
                pad_token_id=self._tokenizer.eos_token_id,
            )
        new = tokens[0][inputs["input_ids"].shape[1] :]
        return tidy(str(self._tokenizer.decode(new, skip_special_tokens=True)))

    def close(self) -> None:
        """Free the weights."""
        self._model = None
        free_memory()
