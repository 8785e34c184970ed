"""The models that write prompts, one row each. Data only.

`captioner` rows look at a real picture; `rephraser` rows are chat models that make one clean description of captions.
`vram_gb` is what the weights and a small batch need, `disk_gb` what is fetched; makers' figures, not measured here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from subnet.registry import table
from subnet.types import JSON


@dataclass(frozen=True)
class PromptRow:
    """One model. `requires` names packages beyond the usual ones; the machine check reads the rest."""

    name: str
    target: str
    repository: str
    revision: str
    dtype: str
    vram_gb: float
    disk_gb: float
    licence: str
    gated: bool = False
    embedded: bool = False
    requires: tuple[str, ...] = ()
    note: str = ""
    options: Mapping[str, JSON] = field(default_factory=dict)


_CAPTIONER = "generators.prompts.captioner:load_captioner"
_REPHRASER = "generators.prompts.rephraser:load_rephraser"

CAPTIONERS = table(
    (
        PromptRow(
            name="blip2",
            target=_CAPTIONER,
            repository="Salesforce/blip2-opt-6.7b-coco",
            revision="0d580de59320a25a4d2c386387bcef310d5f286e",
            dtype="float16",
            vram_gb=20,
            disk_gb=31,
            licence="MIT; OPT weights under the OPT-175B licence",
        ),
        PromptRow(
            name="blip",
            target=_CAPTIONER,
            repository="Salesforce/blip-image-captioning-base",
            revision="82a37760796d32b1411fe092ab5d4e227313294b",
            dtype="float32",
            vram_gb=0,
            disk_gb=1,
            licence="BSD-3-Clause",
            note="250 M parameters: seconds per picture on a CPU",
        ),
    )
)

REPHRASERS = table(
    (
        PromptRow(
            name="llama-8b",
            target=_REPHRASER,
            repository="unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit",
            revision="f15c379fb32bb402fa06a7ae9aecb1febf4b79ec",
            dtype="bfloat16",
            vram_gb=8,
            disk_gb=6,
            licence="Llama 3.1 Community",
            requires=("bitsandbytes",),
            note="four-bit weights; needs CUDA",
        ),
        PromptRow(
            name="smollm2",
            target=_REPHRASER,
            repository="HuggingFaceTB/SmolLM2-360M-Instruct",
            revision="a10cc1512eabd3dde888204e902eca88bddb4951",
            dtype="float32",
            vram_gb=0,
            disk_gb=1,
            licence="Apache-2.0",
            note="360 M parameters: for small machines",
        ),
    )
)
