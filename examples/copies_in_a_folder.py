"""Which of these samples are copies of the training set? Give folders of images, or array files.

python examples/copies_in_a_folder.py SAMPLES TRAIN [HOLDOUT]
"""

import sys

import memhorizon as mh


def main(samples_path: str, train_path: str, holdout_path: str | None = None) -> mh.Fraction:
    samples, train = mh.load_images(samples_path), mh.load_images(train_path)
    for skipped in (*samples.skipped, *train.skipped):
        print(f"skipped {skipped.name}: {skipped.reason}")
    ratios = mh.gap_ratios(samples.images, train.images)
    found = mh.memorized_fraction(ratios)
    print(f"copies: {found}")
    if holdout_path:
        null = mh.memorized_fraction(mh.gap_ratios(mh.load_images(holdout_path).images, train.images))
        print(f"held-out images that would count as copies: {null}")
    _, index = mh.nearest(samples.images, train.images, k=1)
    for row in ratios.argsort()[:5].tolist():
        print(f"{samples.names[row]} is nearest to {train.names[int(index[row])]}, ratio {ratios[row]:.3f}")
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
