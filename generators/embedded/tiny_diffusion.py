"""A latent diffusion model small enough to ship: Stable Diffusion's parts, three orders of magnitude smaller.

It is saved in diffusers' own format and run by the same adapter as the large models of the catalog. Text alone gives
it blurred scenes; from a photograph at low strength it gives pictures that keep their content (SDEdit, arXiv
2108.01073).
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from generators.embedded import upsampling
from generators.embedded.principal_components import components
from generators.embedded.quiet_loading import hushed
from generators.rows import GeneratorRow
from subnet.errors import CheckpointError, GenerationError, SettingsError, SourceEmpty
from subnet.protocols import Generator, Source
from subnet.types import Label, Modality, Sample

FOLDER = Path(__file__).parents[1] / "weights" / "tiny-diffusion"
LATENTS = 8
FACTOR = 4
TEXT = 64  # width of text embeddings
TOKENS = 24  # longest prompt
VOCABULARY = 512
START, END = "<|startoftext|>", "<|endoftext|>"


def vae() -> Any:
    """An AutoencoderTiny of factor 4: 256 pixels to 64 latents of 8 channels. Its encoder is linear and fixed."""
    import diffusers

    model = diffusers.AutoencoderTiny(
        encoder_block_out_channels=(24, 24, 24),
        decoder_block_out_channels=(24, 24, 24),
        num_encoder_blocks=(0, 0, 0),
        num_decoder_blocks=(4, 3, 1),
        latent_channels=LATENTS,
        scaling_factor=2.0,
    )
    model.encoder.requires_grad_(False)
    return model


@torch.no_grad()
def set_encoder(model: Any, x_BCHW: Tensor) -> None:
    """Make the encoder of a fresh `vae` the projection onto the principal components of the patches of `x_BCHW`.

    Latents times the scaling factor have unit variance. Three convolutions carry pixels into ever larger blocks.
    """
    mean, directions, deviations = components(x_BCHW)
    project = directions / (model.config.scaling_factor * deviations[:, None])  # of pixels in [-1, 1]
    whole, half, quarter, last = model.encoder.layers
    for layer in (whole, half, quarter, last):
        layer.weight.zero_()
    whole.bias.zero_()
    for colour in range(3):
        whole.weight[colour, colour, 1, 1] = 1
        for row, column in itertools.product(range(2), repeat=2):
            half.weight[4 * colour + 2 * row + column, colour, 1 + row, 1 + column] = 1
    blocks = project.reshape(LATENTS, 3, 2, 2, 2, 2)  # latent, colour, row of halves, row in it, column ..., column
    for row, column in itertools.product(range(2), repeat=2):
        quarter.weight[:LATENTS, :12, 1 + row, 1 + column] = 2 * blocks[:, :, row, :, column, :].reshape(LATENTS, 12)
    last.weight[:, :LATENTS, 1, 1] = torch.eye(LATENTS)
    last.bias[:] = -(project @ (1 + mean))  # the encoder sees pixels in [0, 1]


def unet() -> Any:
    """A UNet2DConditionModel on 64x64 latents with attention at the lowest level only: 2.3 million parameters."""
    import diffusers

    return diffusers.UNet2DConditionModel(
        sample_size=64,
        in_channels=LATENTS,
        out_channels=LATENTS,
        block_out_channels=(32, 48, 96),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        cross_attention_dim=TEXT,
        attention_head_dim=4,
        norm_num_groups=8,
    )


def text_encoder() -> Any:
    """A CLIPTextModel of two layers."""
    import transformers

    config = transformers.CLIPTextConfig(
        vocab_size=VOCABULARY,
        hidden_size=TEXT,
        intermediate_size=2 * TEXT,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return transformers.CLIPTextModel(config)


def tokenizer(captions: list[str]) -> Any:
    """A CLIPTokenizer whose byte pairs were learned from `captions`; other text falls apart into letters."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.pre_tokenizer = pre_tokenizers.Whitespace()
    letters = [chr(code) for code in range(33, 127)]
    singles = [START, END, *letters, *(letter + "</w>" for letter in letters)]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=singles,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    learner.train_from_iterator([caption.lower() for caption in captions], trainer)
    return transformers.CLIPTokenizer(**_pieces(learner.to_str(), singles), model_max_length=TOKENS)


def _pieces(learned: str, singles: list[str]) -> dict[str, Any]:
    """Vocabulary and merges of a byte pair model, with the single letters first."""
    model = json.loads(learned)["model"]
    merges = [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in model["merges"]]
    names = dict.fromkeys([*singles, *("".join(pair) for pair in merges)])
    vocabulary = {name: index for index, name in enumerate(list(names)[:VOCABULARY])}
    kept = [pair for pair in merges if "".join(pair) in vocabulary and all(half in vocabulary for half in pair)]
    return {"vocab": vocabulary, "merges": kept}


def scheduler() -> Any:
    """Stable Diffusion's noise schedule with DDIM steps."""
    import diffusers

    return diffusers.DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction",
    )


def digest() -> str:
    """The first half of the sha256 of all weights, for provenance."""
    digest = hashlib.sha256()
    for file in sorted(FOLDER.rglob("*.safetensors")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:32]


class One:
    """A source that has one sample and gives it every time."""

    name = "one"

    def __init__(self, sample: Sample) -> None:
        self.sample = sample

    def draw(self, modality: Modality, label: Label, rng: np.random.Generator) -> Sample:
        """The sample. Raises SourceEmpty when something else is asked for."""
        if (modality, label) != (self.sample.modality, self.sample.label):
            raise SourceEmpty(f"there is one {self.sample.modality} here, and no {label.name.lower()} {modality}")
        return self.sample


class Redrawing:
    """Photographs noised to a part and denoised by the model: the catalog's adapter, and twins of given photographs."""

    def __init__(self, row: GeneratorRow, pipeline: Any, *, device: str, reals: Source | None) -> None:
        from generators.catalog import adapter

        self.row, self.reals, self.name, self.modality = row, reals, row.name, row.modality
        self._generator = adapter.DiffusionGenerator(row, pipeline, device=device, reals=reals)

    def generate(self, prompts: Sequence[str], rng: np.random.Generator) -> list[Sample]:
        """One changed photograph per prompt. Raises SettingsError without a source or with an empty prompt."""
        if self.reals is None:
            raise SettingsError(f"generator {self.name!r} changes real pictures: load it with reals=<a source>")
        return self._generator.generate(prompts, rng)

    def reconstruct(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The synthetic twin of one photograph, at 256x256."""
        if sample.modality is not self.modality:
            raise GenerationError(f"generator {self.name!r} works on {self.modality}s, not on a {sample.modality}")
        prompt = f"a photograph, {sample.provenance.parameters.get('category', 'nature')}"
        return self._generator.starting_from(One(sample)).generate([prompt], rng)[0]


def load_redrawing(row: GeneratorRow, *, device: str = "cpu", reals: Source | None = None) -> Generator:
    """The factory of the table's rows `diffusion*`: the catalog's adapter over the weights in this package.

    Raises CheckpointError without weights.
    """
    from generators.catalog import adapter, pipelines
    from generators.rows import Task

    if not (FOLDER / "model_index.json").is_file():
        raise CheckpointError(f"the weights of {row.name} are missing: {FOLDER}; train them with train_diffusion")
    with hushed():
        pipeline = pipelines.open_pipeline(replace(row, repository=str(FOLDER), revision=""), device)
    _hasten(pipeline)
    row = replace(row, revision=digest())
    if row.task is Task.IMAGE_TO_IMAGE:
        return Redrawing(row, pipeline, device=device, reals=reals)
    return adapter.DiffusionGenerator(row, pipeline, device=device, reals=reals)


def load_tiny_round_trip(row: GeneratorRow, *, device: str = "cpu", reals: Source | None = None) -> Generator:
    """The factory of the row `vae-tiny`: twins by this model's autoencoder alone. Raises CheckpointError."""
    from generators.catalog.round_trip import load_round_trip

    with hushed():
        return load_round_trip(row, device=device, reals=reals)


def _hasten(pipeline: Any) -> None:
    """The same pictures in less time: enlargements merged, channels beside each other in memory."""
    from diffusers.models.upsampling import Upsample2D

    upsampling.merge(pipeline.vae.decoder)
    for layer in pipeline.vae.decoder.modules():
        if isinstance(layer, torch.nn.ReLU):
            layer.inplace = True  # of sums and convolutions that nothing else reads
    for layer in pipeline.unet.modules():
        if isinstance(layer, Upsample2D):
            layer.conv, layer.use_conv_transpose = upsampling.transposed(layer.conv), True
    for network in (pipeline.unet, pipeline.vae):
        network.to(memory_format=torch.channels_last)
