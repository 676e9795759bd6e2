"""Slow twins of the metrics, in plain NumPy: the definitions as their papers have them, pair by pair."""

import math

import numpy as np


def distances(a, b):
    """All distances by direct differences. [a, b]"""
    a, b = (np.asarray(x, dtype=np.float64).reshape(len(x), -1) for x in (a, b))
    return np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))


def nearest_of_groups(row, group):
    """Distances to the nearest item of each group, ascending."""
    return sorted(min(row[group == label]) for label in np.unique(group))


def ratios_slow(samples, train, group):
    """d1 / d2 over groups."""
    rows = [nearest_of_groups(row, group) for row in distances(samples, train)]
    return np.array([row[0] / row[1] for row in rows])


def calibrated_slow(samples, train, group, k, alpha):
    """d1 / (alpha mean(d1, ..., dk)) over groups."""
    rows = [nearest_of_groups(row, group)[:k] for row in distances(samples, train)]
    return np.array([row[0] / (alpha * np.mean(row)) for row in rows])


def authentic_slow(samples, train, group):
    """Whether |y - x| > |x - x'|, x nearest to y, x' of another group nearest to x."""
    among = distances(train, train)
    found = []
    for row in distances(samples, train):
        x = int(row.argmin())
        found.append(row[x] > among[x][group != group[x]].min())
    return np.array(found)


def cosine_distances_slow(samples, train):
    """Smallest 1 - |cos|."""

    def smallest(y):
        cosines = [abs(float(y @ x)) / math.sqrt(float(y @ y) * float(x @ x)) for x in train]
        return 1 - max(cosines)

    samples, train = (np.asarray(x, dtype=np.float64).reshape(len(x), -1) for x in (samples, train))
    return np.array([smallest(y) for y in samples])


def overlap_slow(samples, train, k):
    """Precision, recall, density and coverage with closed balls."""
    between = distances(train, samples)
    of_train, of_samples = (np.sort(distances(x, x), 1)[:, k] for x in (train, samples))
    in_train_ball = between <= of_train[:, None]
    in_sample_ball = between <= of_samples[None]
    return {
        "precision": in_train_ball.any(0).mean(),
        "recall": in_sample_ball.any(1).mean(),
        "density": in_train_ball.sum(0).mean() / k,
        "coverage": in_train_ball.any(1).mean(),
    }


def log_densities(x, center, variance):
    """Log N(x_i; y_j, s_j), directly. [x, center]"""
    d = x.shape[1]
    return -(distances(x, center) ** 2) / (2 * variance) - d / 2 * np.log(2 * math.pi * variance)
