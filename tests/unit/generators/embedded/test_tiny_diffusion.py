"""The small diffusion model: its linear encoder, its words, its training, and twins through the catalog's adapter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from generators.embedded import tiny_diffusion
from generators.embedded.autoencoder import to_tensor
from generators.embedded.tiny_diffusion import One, Redrawing
from generators.rows import GeneratorRow, Range, Task
from generators.training import diffusion
from generators.training.diffusion import Course, Recipe, decoder_loss, encoder_start
from generators.training.photos import captions
from subnet.errors import CheckpointError, GenerationError, SourceEmpty
from subnet.types import Label, Media, Modality, Provenance, Sample, Split

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

ROW = GeneratorRow(
    name="diffusion",
    modality=Modality.IMAGE,
    task=Task.IMAGE_TO_IMAGE,
    target="generators.embedded.tiny_diffusion:load_redrawing",
    embedded=True,
    pipeline="StableDiffusionImg2ImgPipeline",
    ranges={"steps": Range(4, 6), "guidance": Range(1.5, 2.0), "strength": Range(0.4, 0.5)},
)


def pictures(count: int, side: int) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (count, side // 4, side // 4, 3), dtype=np.uint8)
    noise = np.random.default_rng(1).integers(0, 20, (count, side, side, 3), dtype=np.uint8)
    return np.clip(coarse.repeat(4, 1).repeat(4, 2).astype(int) + noise, 0, 255).astype(np.uint8)


def real(side: int = 256) -> Sample:
    about = Provenance("album", "boat", "CC0", parameters={"category": "vehicle"})
    return Sample(Media(pictures(1, side)), Label.REAL, about)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline of untrained weights, saved the way training saves it."""
    out = tmp_path_factory.mktemp("diffusion")
    torch.manual_seed(0)
    vae = tiny_diffusion.vae()
    tiny_diffusion.set_encoder(vae, to_tensor(pictures(4, 32)))
    recipe = Recipe(minutes=1, seed=0, batch=1, crop=32, rate=1e-3, average=0.9)
    Course(vae, recipe, out / "decoder.pt").save()
    Course(diffusion.Denoiser(), recipe, out / "unet.pt").save()
    diffusion.assemble(out)
    return out / "pipeline"


@pytest.fixture
def generator(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Redrawing:
    monkeypatch.setattr(tiny_diffusion, "FOLDER", folder)
    made = tiny_diffusion.load_redrawing(ROW, reals=One(real()))
    assert isinstance(made, Redrawing)
    return made


def test_encoder_is_the_projection_on_components() -> None:
    """Latents times the scaling factor have mean 0, unit variance and no correlation, channel by channel."""
    x_BCHW = to_tensor(pictures(6, 64))
    vae = tiny_diffusion.vae()
    tiny_diffusion.set_encoder(vae, x_BCHW)
    with torch.inference_mode():
        z_BCHW = vae.encode(x_BCHW).latents * vae.config.scaling_factor
    assert z_BCHW.shape == (6, tiny_diffusion.LATENTS, 16, 16)
    z_CN = z_BCHW.permute(1, 0, 2, 3).flatten(1)
    assert torch.allclose(torch.cov(z_CN), torch.eye(tiny_diffusion.LATENTS), atol=0.01)
    assert z_CN.mean(1).abs().max() < 1e-3


def test_words_learned_stay_whole() -> None:
    """Words of the captions are one token each, others fall into letters, and ids stay below the vocabulary."""
    texts = captions(Split.TRAIN)
    tokenizer = tiny_diffusion.tokenizer(texts)
    assert tokenizer.tokenize("a photograph, animal") == ["a</w>", "photograph</w>", ",</w>", "animal</w>"]
    ids = diffusion.token_rows(["zyzzyva quux " * 30, ""], tokenizer)
    assert ids.shape == (2, tiny_diffusion.TOKENS)
    assert int(ids.max()) < tiny_diffusion.VOCABULARY
    assert all(text.startswith("a photograph, ") for text in texts)


def test_a_twin_comes_from_its_photograph(generator: Redrawing) -> None:
    """A twin has 256x256 pixels, names the photograph, the prompt, the strength and the weights, and is repeatable."""
    one, two = (generator.reconstruct(real(), np.random.default_rng(4)) for _ in range(2))
    assert one.label is Label.SYNTHETIC
    assert one.media.frames.shape == (1, 256, 256, 3)
    assert np.array_equal(one.media.frames, two.media.frames)
    about = one.provenance
    assert (about.item, about.model, about.prompt) == ("boat", "diffusion", "a photograph, vehicle")
    assert about.parameters["revision"] == tiny_diffusion.digest()
    assert 0.4 <= float(str(about.parameters["strength"])) <= 0.5


def test_generate_draws_from_the_source(generator: Redrawing) -> None:
    """With a source, a prompt gives a changed photograph of it."""
    made = generator.generate(["a red boat"], np.random.default_rng(0))
    assert [sample.provenance.item for sample in made] == ["boat"]


def test_clips_are_refused(generator: Redrawing) -> None:
    """A clip is not something this generator can redraw."""
    clip = Sample(Media(pictures(3, 32), 25.0), Label.REAL, Provenance("album", "clip"))
    with pytest.raises(GenerationError, match="diffusion"):
        generator.reconstruct(clip, np.random.default_rng(0))


def test_missing_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without weights the folder is named, and how to make them."""
    monkeypatch.setattr(tiny_diffusion, "FOLDER", tmp_path)
    with pytest.raises(CheckpointError, match="train_diffusion"):
        tiny_diffusion.load_redrawing(ROW)


def test_a_source_of_one_has_nothing_else() -> None:
    """The source of one sample refuses other kinds."""
    with pytest.raises(SourceEmpty):
        One(real()).draw(Modality.VIDEO, Label.REAL, np.random.default_rng(0))


def test_training_changes_only_the_decoder_and_resumes(tmp_path: Path) -> None:
    """Steps leave the encoder alone and lower the loss; a run read from disk stands where the other stopped."""
    torch.manual_seed(0)
    x_BCHW = to_tensor(pictures(4, 32))
    vae = tiny_diffusion.vae()
    tiny_diffusion.set_encoder(vae, x_BCHW)
    before = {key: value.clone() for key, value in vae.encoder.state_dict().items()}
    recipe = Recipe(minutes=1, seed=0, batch=4, crop=32, rate=2e-3, average=0.9)
    run = Course(vae, recipe, tmp_path / "decoder.pt")
    losses = []
    for step in range(30):
        value = decoder_loss(run.network, x_BCHW, torch.Generator().manual_seed(step))
        run.learn(value)
        losses.append(float(value.detach()))
    assert losses[-1] < losses[0]
    assert all(torch.equal(value, before[key]) for key, value in vae.encoder.state_dict().items())
    run.save()
    again = Course(tiny_diffusion.vae(), recipe, tmp_path / "decoder.pt")
    assert again.step == run.step
    assert all(torch.equal(value, again.ema.state_dict()[key]) for key, value in run.ema.state_dict().items())


def test_the_encoder_start_is_always_the_same() -> None:
    """Both parts of the training fix the same encoder: its crops depend on the photographs alone."""
    photos = list(pictures(3, 128))
    assert torch.equal(encoder_start(photos), encoder_start(photos))


def test_the_hastened_model_draws_the_same_picture(generator: Redrawing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Merged enlargements and another order in memory change no pixel by more than one level."""
    monkeypatch.setattr(tiny_diffusion, "_hasten", lambda pipeline: None)
    plain = tiny_diffusion.load_redrawing(ROW, reals=One(real()))
    assert isinstance(plain, Redrawing)
    pixels = [g.reconstruct(real(), np.random.default_rng(4)).media.frames.astype(int) for g in (generator, plain)]
    assert abs(pixels[0] - pixels[1]).max() <= 1
