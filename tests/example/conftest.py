"""The example is no part of the package: it is found where it lies, also when the tests run on an installed wheel."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))
