"""Is it copying? Audit samples against a training set; give folders of images, or array files.

python examples/audit_a_folder.py SAMPLES TRAIN [HOLDOUT]

Without arguments: handwritten digits, of which some "samples" are flipped training images.
"""

import sys

import torch

import memhorizon as mh


def example() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Samples, training and held-out items: 30 of 80 samples are copies, 10 of them flipped."""
    split = mh.load_split(mh.DataConfig(name="digits", n_train=600, n_holdout=300))
    copies = torch.cat([split.train[:20], split.train[20:30].flip(-1)])
    fresh = split.holdout[:50]
    return torch.cat([copies, fresh]), split.train, split.holdout[50:]


def main(*sources: str, views: tuple[str, ...] = ("pixels", "coarse", "aligned")) -> mh.AuditReport:
    samples, train, holdout = sources if len(sources) == 3 else (*sources, None) if sources else example()
    report, answer = mh.audit(samples, train, holdout=holdout, views=views)
    print(report.summary())
    for pair in report.pairs[:5]:
        print(f"{pair['sample']} copies {pair['train']}, edit: {pair['edit']} (p = {pair['p']:.2g})")
    least = report.smallest_reportable
    print(f"at least {least} of {answer.copies.total} samples must be copies to be reported")
    print(f"open {report.to_html('report.html')}")
    return report


if __name__ == "__main__":
    sys.exit(0 if main(*sys.argv[1:]).passed() else 1)
