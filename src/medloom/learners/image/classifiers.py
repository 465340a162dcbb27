"""The learners of images by the network they train; what they share is in `learner`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from medloom.features.images import Framing
from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr
from medloom.learners.image.learner import ImageLearner
from medloom.tasks.samples import Samples
from medloom.training.parameters import check_parameter

if TYPE_CHECKING:
    from torch import nn

    from medloom.training.adaptation import Places

_RESNETS: Final = (18, 34, 50)


@dataclass(frozen=True)
class CnnLearner(ImageLearner):
    """A plain convolutional network: pairs of convolutions, each pair on half the size; pictures and volumes.

    Args:
        width: channels of the first pair; each later pair has twice as many.
        depth: pairs; 0: as many as leave 7 pixels a side.
    """

    name: ClassVar[str] = "cnn"

    width: int = 16
    depth: int = 0

    def built(self, framing: Framing) -> dict[str, Any]:
        depth, side = self.depth, min(framing.size)
        if not depth:
            depth = max(2, (side // 7).bit_length())
        return {"widths": [self.width * 2**number for number in range(depth)]}

    @classmethod
    def body(cls, framing: Framing, built: dict[str, Any]) -> nn.Module:
        from medloom.learners.image.bodies import PlainCnn

        return PlainCnn(len(framing.size), framing.channels, built["widths"])

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_parameter(self.name, "width", self.width, self.width >= 4, tr("4 or more"))
        check_parameter(self.name, "depth", self.depth, 0 <= self.depth <= 7, tr("7 or fewer"))


@dataclass(frozen=True)
class EfficientNetLearner(ImageLearner):
    """EfficientNet-lite0, from weights of ImageNet: the usual choice for pictures; of no use for volumes."""

    name: ClassVar[str] = "efficientnet"
    starts: ClassVar[tuple[str, ...]] = ("none", "imagenet")
    channels: ClassVar[int] = 3
    passes: ClassVar[int] = 10

    start: str = "imagenet"
    learning_rate: float = 0.0005

    def framing(self, learned: Samples) -> Framing:
        framing = super().framing(learned)
        if len(framing.size) == 3:
            raise InputError(
                "learner {learner!r} reads pictures, and these are volumes; take cnn, densenet, resnet or vit",
                learner=self.name,
            )
        return framing

    def started(self, framing: Framing, train: Samples) -> nn.Module:
        body = super().started(framing, train)
        if self.start != "imagenet":
            return body
        from medloom.learners.image.efficientnet import EfficientNetLite0, with_imagenet

        assert isinstance(body, EfficientNetLite0)
        return with_imagenet(body)

    @classmethod
    def body(cls, framing: Framing, built: dict[str, Any]) -> nn.Module:
        from medloom.learners.image.efficientnet import EfficientNetLite0

        return EfficientNetLite0()


@dataclass(frozen=True)
class DenseNetLearner(ImageLearner):
    """DenseNet-121: each layer reads all before it; pictures and volumes."""

    name: ClassVar[str] = "densenet"

    @classmethod
    def body(cls, framing: Framing, built: dict[str, Any]) -> nn.Module:
        from medloom.learners.image.bodies import DenseNetBody

        return DenseNetBody(len(framing.size), framing.channels)


@dataclass(frozen=True)
class ResNetLearner(ImageLearner):
    """A residual network; pictures and volumes.

    Args:
        layers: 18, 34 or 50.
    """

    name: ClassVar[str] = "resnet"

    layers: int = 18

    def built(self, framing: Framing) -> dict[str, Any]:
        return {"layers": self.layers}

    @classmethod
    def body(cls, framing: Framing, built: dict[str, Any]) -> nn.Module:
        from medloom.learners.image.bodies import ResNetBody

        return ResNetBody(len(framing.size), framing.channels, built["layers"])

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_parameter(self.name, "layers", self.layers, self.layers in _RESNETS, "18, 34, 50")


@dataclass(frozen=True)
class VitLearner(ImageLearner):
    """A vision transformer: patches that look at each other; pictures and volumes. It wants a pretrained start.

    Args:
        patch: pixels a side; 0: as many as make 14 patches a side, 8 of volumes.
        width: numbers of each patch.
        blocks: one after another.
        heads: of attention.
    """

    name: ClassVar[str] = "vit"

    patch: int = 0
    width: int = 192
    blocks: int = 6
    heads: int = 3
    learning_rate: float = 0.0005

    def built(self, framing: Framing) -> dict[str, Any]:
        side = min(framing.size)
        patch = self.patch or max(1, side // (14 if len(framing.size) == 2 else 8))
        return {"patch": patch, "width": self.width, "blocks": self.blocks, "heads": self.heads}

    @classmethod
    def body(cls, framing: Framing, built: dict[str, Any]) -> nn.Module:
        from medloom.learners.image.bodies import VisionTransformer

        return VisionTransformer(framing.size, framing.channels, **built)

    def _places(self, body: nn.Module) -> Places | None:
        from torch import nn

        from medloom.training.adaptation import Places

        linear = tuple(name for name, layer in body.named_modules() if isinstance(layer, nn.Linear))
        return Places(linear, ())

    def _check_parameters(self) -> None:
        super()._check_parameters()
        for one in ("width", "blocks", "heads"):
            check_parameter(self.name, one, getattr(self, one), getattr(self, one) >= 1, tr("1 or more"))
        check_parameter(self.name, "patch", self.patch, self.patch >= 0, tr("0 or more"))
        holds = self.width % self.heads == 0
        check_parameter(
            self.name, "heads", self.heads, holds, tr("a divisor of width, {width}", width=self.width)
        )
