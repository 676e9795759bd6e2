import subprocess
import sys


def test_theory_needs_no_torch():
    code = (
        "import sys, memhorizon.theory as t; m = t.FeatureModel(2, 4, 0.1);"
        "t.loss_curves(m, [1.0]); t.timescales(m);"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
