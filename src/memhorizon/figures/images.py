"""Images of samples in a figure: their grey levels, their place, a frame around copies."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style


def pixels_of(items: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Items as images in [0, 1], with the grey levels of the training images nearest to the samples.

    Args:
        items: samples or training images. [m, channels, height, width]
        neighbours: their smallest value becomes 0, their largest 1; what lies outside is cut.

    Returns:
        Channels last, none where there is one. [m, height, width] or [m, height, width, 3]
    """
    scaled = _scaled(items, neighbours)
    return scaled[:, 0] if scaled.shape[1] == 1 else np.moveaxis(scaled[:, :3], 1, -1)


def _scaled(items: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    low = float(neighbours.min())
    high = float(neighbours.max())
    return np.clip((items - low) / max(high - low, 1e-9), 0, 1)


def draw_image(
    figure: Figure,
    pixels: np.ndarray,
    corner: tuple[float, float],
    size: float,
    *,
    copied: bool,
    frame: float,
) -> None:
    """Draw one image.

    Args:
        figure: where.
        pixels: in [0, 1]. [height, width] or [height, width, 3]
        corner: the lower left one, in inches.
        size: of a side, in inches.
        copied: whether it has the frame of copies; others have a grey line of a quarter of its width.
        frame: its width, in points.
    """
    axes = _square(figure, corner, size)
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    _draw_frame(axes, frame, copied=copied)


def _square(figure: Figure, corner: tuple[float, float], size: float) -> Axes:
    """Axes for one image, from inches to shares of the figure."""
    width, height = figure.get_size_inches()
    return figure.add_axes((corner[0] / width, corner[1] / height, size / width, size / height))


def _draw_frame(axes: Axes, frame: float, *, copied: bool) -> None:
    """A frame, and no ticks."""
    axes.set(xticks=[], yticks=[])
    colour = style.FRAME if copied else "#bbbbbb"
    axes.spines[:].set(visible=True, color=colour, linewidth=frame if copied else frame / 4)
