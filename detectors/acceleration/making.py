"""Makes one export: `python -m detectors.acceleration.making TEXT FILE`, the process that imports torch for a miner.

Exit status 1 and one line where the detector meant by TEXT cannot be exported, REFUSED where its weights are bad.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from detectors import TABLE
from detectors.acceleration.accelerate import example_views, original
from detectors.acceleration.exported import ABOUT, NONE, REFUSED, About
from detectors.acceleration.onnx_export import PARITY, OnnxNetwork, parity, to_onnx
from detectors.acceleration.session import ExportError
from detectors.evaluation.self_test import example, self_test
from detectors.families import family
from detectors.loading import open_detector
from detectors.torch_detector import TorchDetector
from subnet.errors import CheckpointError, SubnetError
from subnet.files import write_atomically


def exported(detector: TorchDetector) -> bytes:
    """The detector as one ONNX model that says what stands around its network. Raises ExportError."""
    import onnx

    network, views = original(detector), example_views(detector)
    if not getattr(network, "exportable", True):  # known beforehand: an attempt takes its seconds
        raise ExportError(f"{type(network).__name__} computes what ONNX has no operators for")
    if detector.preprocess.rule == "keep":
        raise ExportError(f"{detector.name} takes pictures of any size, and an export has one")
    model = to_onnx(network, views)
    difference = parity(network, OnnxNetwork(model), views)
    if not difference <= PARITY:
        raise ExportError(f"{type(network).__name__}: the export differs by {difference:.2g}, more than {PARITY}")
    row = TABLE.get(detector.name)
    about = About(
        detector.name,
        detector.modality,
        detector.weights_hash,
        family(row.family if row else detector.name).views,
        detector.preprocess,
        detector.calibration,
        float(detector.logits([example(detector.modality)])[0]),
    )
    proto = onnx.load_from_string(model)
    proto.metadata_props.add(key=ABOUT, value=about.to_text())
    serialised: bytes = proto.SerializeToString()
    return serialised


def main(text: str, file: str) -> None:
    """Write the export, whole or not at all; a miner that serves other weights meanwhile has the processor first."""
    os.nice(5)
    try:
        detector = open_detector(text)
        if not isinstance(detector, TorchDetector):
            raise ExportError(f"{text} is no single network")
        self_test(detector)
        write_atomically(Path(file), exported(detector))
    except CheckpointError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(REFUSED)
    except ExportError as error:
        write_atomically(Path(file), NONE)
        sys.exit(str(error))
    except SubnetError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
