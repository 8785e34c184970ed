"""The process that `neurons.provenance.credentials` starts: reads one file from its input, and prints its manifests.

Run as `python -m neurons.provenance.credentials_child TYPE [TRUST]`. The reader is loaded first; then address space,
processor time and files are bounded.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any, Final

from neurons.provenance.trust import anchors
from subnet.confined import confine

NONE: Final = "none"
MEMORY: Final = 3 * 2**30  # bytes of address space
SECONDS: Final = 20  # of processor time
_STRICT: Final = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True}}


def main(kind: str, trust: str = "") -> None:
    """Read standard input, print JSON."""
    from c2pa import C2paError, Context, Reader

    settings: dict[str, Any] = dict(_STRICT)
    if trust:
        settings["trust"] = {"user_anchors": anchors(Path(trust))}
    data = sys.stdin.buffer.read()
    context = Context.from_dict(settings)
    confine(MEMORY, SECONDS)
    try:
        with Reader(kind, io.BytesIO(data), context=context) as reader:
            store = json.loads(reader.json())
            store["validation_state"] = reader.get_validation_state()
    except C2paError.ManifestNotFound:
        store = {"error": NONE}
    except C2paError as error:
        store = {"error": str(error)[:200]}
    print(json.dumps(store))


if __name__ == "__main__":
    main(*sys.argv[1:])
