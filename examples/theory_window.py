"""When does the random-features model begin to memorize? For several n, without training anything.

python examples/theory_window.py
"""

import memhorizon as mh


def main(psi_p: float = 64.0, t: float = 0.1) -> list[mh.Timescales]:
    found = []
    for psi_n in (4, 8, 16, 32):
        model = mh.theory.FeatureModel(psi_n=psi_n, psi_p=psi_p, t=t)
        times = mh.theory.timescales(model)
        print(f"n/d = {psi_n:3d}: tau_gen {times.tau_gen}, tau_mem {times.tau_mem}")
        found.append(times)
    return found


if __name__ == "__main__":
    main()
