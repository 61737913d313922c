"""What tests of figures draw on, and what they see of a PNG."""

import io

import numpy as np


def axes() -> object:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def pixels(png: bytes) -> np.ndarray:
    from matplotlib.image import imread

    assert png.startswith(b"\x89PNG")
    seen = imread(io.BytesIO(png))
    assert float(seen.std()) > 0.01
    return seen
