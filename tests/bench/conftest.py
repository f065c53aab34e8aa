"""The benchmarks are scripts: here they can be imported as their neighbours import them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "bench"))
