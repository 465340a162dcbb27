"""What a network trained on photographs knows of images: where distances between images are taken."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from medloom.features.images import Pixels
from medloom.learners.image.efficientnet import EfficientNetLite0, with_imagenet
from medloom.learners.image.generating.networks import scaled

_SMALLEST, _LARGEST = 64, 224  # pixels a side
_AT_ONCE: Final = 32


def looked_at(pixels: Pixels) -> NDArray[np.float64]:
    """Look at images (n, channels, height, width) of 8 bits: (n, 1280).

    Raises:
        InputError: the package with the weights of ImageNet is not installed.
    """
    network = with_imagenet(EfficientNetLite0()).eval()
    side = min(max(_SMALLEST, *pixels.shape[2:]), _LARGEST)
    found = [np.empty((0, network.width))]
    with torch.inference_mode():
        for first in range(0, len(pixels), _AT_ONCE):
            x = torch.from_numpy(np.asarray(pixels[first : first + _AT_ONCE])).float() / 255
            seen = network.maps(scaled(x.expand(-1, 3, -1, -1), (side, side)))
            found.append(seen.mean((2, 3)).double().numpy())
    return np.concatenate(found)
