"""On PYTHONPATH, hides torch and Numba: workers start in a tenth of the time, the ceiling is NumPy's copy."""

import sys

for library in ("torch", "numba"):
    sys.modules[library] = None
