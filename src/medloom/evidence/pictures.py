"""Pictures on a page: they stand where drawings stand, and need no other file."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.messages import Text2
from medloom.record.imaging.pictures import as_png


def picture_svg(picture: NDArray[np.uint8], name: Text2) -> str:
    """Wrap a picture (height, width, 3), red, green and blue."""
    height, width = picture.shape[:2]
    content = base64.b64encode(as_png(picture.transpose(2, 0, 1))).decode()
    return (
        f'<svg class="chart" role="img" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{name.en} / {name.zh}</title>"
        f'<image width="{width}" height="{height}" href="data:image/png;base64,{content}"/></svg>'
    )
