"""The large generators, one row each: what to fetch, how to call it, what it needs and under which licence.

How to read a row
- `revision` is a commit of the repository, so that a row gives the same weights next year. "main" stands where no
  commit could be confirmed; the note then says "unpinned".
- `parts` are loaded beside the pipeline, as "repository[@revision][:path]": `lora` and `motion_adapter` have a meaning
  of their own, any other role replaces the pipeline's component of that name.
- `ranges` are what one call may draw: `steps`, `guidance`, `strength`. Where both ends are equal nothing is drawn.
- `options` the adapter knows: `offload` ("model" or "sequential"; what `vram_gb` assumes), `tiling`, `batch`,
  `guidance_argument` and `rate_argument` (what the pipeline calls guidance and fps), `frame_step` (legal clip lengths
  are low + n * step), `tokens` (longer prompts are cut), `negative` (a negative prompt), `dtypes` (per component),
  `scheduler` (its settings), `call` (further arguments), `composite` (in-painting: how often the picture outside the
  mask is put back).
- `vram_gb` is GPU memory at the largest size with the row's offload, rounded up to what makers and the diffusers
  documentation report; `disk_gb` what the pipeline downloads. Neither was measured by this project.
"""

from __future__ import annotations

from generators.catalog.images import IMAGE_ROWS
from generators.catalog.videos import VIDEO_ROWS
from generators.rows import GeneratorRow
from subnet.registry import table

__all__ = ["CATALOG"]

CATALOG: dict[str, GeneratorRow] = table((*IMAGE_ROWS, *VIDEO_ROWS))
