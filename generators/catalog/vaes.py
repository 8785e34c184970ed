"""Autoencoders of public models, one row each: a photograph through one is a twin of it with the decoder's trace.

Detectors that learn from such pairs have no content to tell the classes by (Aligned Forensics, arXiv 2410.11835; DDA,
arXiv 2505.14359). Decoders differ: of one alone others are missed, so several are mixed. `options` has `subfolder`, the
part of the repository that is fetched (no more is), or `folder`, one below `generators/weights`; `tiling` from that
many pixels a side. All run on a CPU, in seconds for 256 pixels a side; `disk_gb` is what makers list, not measured.
"""

from __future__ import annotations

from functools import partial

from generators.rows import GeneratorRow, Task
from subnet.types import Modality

_vae = partial(
    GeneratorRow,
    modality=Modality.IMAGE,
    task=Task.RECONSTRUCT,
    target="generators.catalog.round_trip:load_round_trip",
    pipeline="AutoencoderKL",
    options={"subfolder": "vae", "tiling": 1024},
)
_wan = partial(_vae, modality=Modality.VIDEO, pipeline="AutoencoderKLWan", licence="Apache-2.0")

VAE_ROWS = (
    _vae(
        name="vae-tiny",
        target="generators.embedded.tiny_diffusion:load_tiny_round_trip",
        pipeline="AutoencoderTiny",
        family="diffusion",
        options={"folder": "tiny-diffusion/vae"},
        note="a real picture through the autoencoder of the small diffusion model that ships",
    ),
    _vae(
        name="vae-sd15",
        family="sd15",
        repository="stable-diffusion-v1-5/stable-diffusion-v1-5",
        revision="451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
        disk_gb=0.4,
        licence="CreativeML Open RAIL-M",
        note="4 channels at an eighth of the side",
    ),
    _vae(
        name="vae-sdxl",
        family="sdxl",
        repository="stabilityai/stable-diffusion-xl-base-1.0",
        revision="462165984030d82259a11f4367a4eed129e94a7b",
        disk_gb=0.4,
        licence="CreativeML Open RAIL++-M",
        note="4 channels; in float32, since half precision overflows",
    ),
    _vae(
        name="vae-sd35",
        family="sd3",
        repository="stabilityai/stable-diffusion-3.5-medium",
        revision="b940f670f0eda2d07fbb75229e779da1ad11eb80",
        disk_gb=0.4,
        licence="Stability AI Community",
        gated=True,
        note="16 channels; accept the terms on the model page; free below 1 M USD of revenue a year",
    ),
    _vae(
        name="vae-flux",
        family="flux",
        repository="black-forest-labs/FLUX.1-schnell",
        revision="741f7c3ce8b383c54771c7003378a50191e9efe9",
        disk_gb=0.4,
        licence="Apache-2.0",
        gated=True,
        note="16 channels, the same in FLUX.1 [dev]; free licence, but the page asks for a contact",
    ),
    _wan(
        name="vae-wan21",
        family="wan",
        repository="Wan-AI/Wan2.2-T2V-A14B-Diffusers",
        revision="5be7df9619b54f4e2667b2755bc6a756675b5cd7",
        disk_gb=0.6,
        note="clips; 16 channels, of Wan 2.1 and of the large Wan 2.2",
    ),
    _wan(
        name="vae-wan22",
        family="wan22",
        repository="Wan-AI/Wan2.2-TI2V-5B-Diffusers",
        revision="b8fff7315c768468a5333511427288870b2e9635",
        disk_gb=2.9,
        note="clips; 48 channels at a sixteenth of the side",
    ),
)
