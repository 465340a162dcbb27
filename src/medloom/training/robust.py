"""Training for inputs that are not quite what they should be: values moved against the network, and patients mixed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from medloom.foundation.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

ATTACKS: Final = ("none", "fgsm", "pgd")
_STEPS: Final = 5  # of pgd
_STRIDE: Final = 2.5  # times radius / steps, as Madry et al. have it


@dataclass(frozen=True)
class Hardening:
    """How a network is made robust while it is trained.

    Attributes:
        attack: by which values are moved so that the loss rises: `fgsm`, one step along the sign of its gradient
            (Goodfellow, Shlens and Szegedy, ICLR 2015), `pgd`, several from a random start (Madry et al., ICLR 2018).
            Half of the loss is that of moved values. `none`: as they are.
        radius: how far each value is moved at most, in the unit in which the network reads it.
        mixup: of pairs of patients, half way between whom the network is to answer half way: shares are drawn from
            Beta(mixup, mixup) (Zhang et al., ICLR 2018); 0: none.
    """

    attack: str = "none"
    radius: float = 0.3
    mixup: float = 0.0


def moved(
    losses: Callable[[Tensor], Tensor], values: Tensor, free: Tensor, attack: str, radius: float
) -> Tensor:
    """Move values (n,) so that losses rise, each by `radius` at most.

    Args:
        losses: (b,) of values.
        values: as they are.
        free: (n,) bool, which may be moved.
        attack: `fgsm` or `pgd`.
        radius: 0 or more.

    Raises:
        InputError: the losses do not depend on values.
    """
    import torch

    steps, stride = (1, radius) if attack == "fgsm" else (_STEPS, _STRIDE * radius / _STEPS)
    room = radius * free.to(values.dtype)
    shift = torch.zeros_like(values) if attack == "fgsm" else (2 * torch.rand_like(values) - 1) * room
    for _ in range(steps):
        with torch.enable_grad():
            tried = (values + shift).detach().requires_grad_()
            (slope,) = torch.autograd.grad(losses(tried).sum(), tried, allow_unused=True)
        if slope is None:
            raise InputError(
                "this network reads no values that could be moved; train it with adversarial=none"
            )
        shift = (shift + stride * slope.sign()).clamp(-room, room)
    return (values + shift).detach()


def mixed(x: Tensor, alpha: float) -> tuple[Tensor, Tensor, Tensor]:
    """Mix each of some rows (b, width) with another one.

    Returns:
        the mixed rows; (b,) which the other one is; () the share of the first.
    """
    import torch

    share = torch.distributions.Beta(alpha, alpha).sample().to(x)
    order = torch.randperm(len(x), device=x.device)
    return share * x + (1 - share) * x[order], order, share
