"""Files and addresses for schemathesis, which loads this in a process of its own: it finds no picture by chance, and
should call nobody."""

from __future__ import annotations

import schemathesis
from hypothesis import strategies as st

from tests.unit.neurons.gateway.rig import clip, picture

schemathesis.openapi.format("binary", st.sampled_from([picture(True), picture(False, seed=1), clip(True)]))
schemathesis.openapi.format("uri", st.sampled_from(["https://127.0.0.1:9/a", "https://nowhere.invalid/b.jpg"]))
