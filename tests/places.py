"""Where the repository lies: the one place that counts folders upwards."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
