"""What bodies are pretrained to do: the same whether it is worked out at once or in parts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from medloom.learners.timeline import objectives


def test_scores_of_many_codes_are_worked_out_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    head = nn.Linear(8, 50)
    step = torch.randint(0, 40, (90,)).sort().values
    known = torch.randint(0, 50, (90,))
    found = []
    for at_once in (10**9, 350, 1):
        monkeypatch.setattr(objectives, "_SCORES_AT_ONCE", at_once)
        read = torch.linspace(-2, 2, 320).view(40, 8).requires_grad_()
        head.zero_grad()
        losses = objectives._code_losses(head, read, step, known)
        (losses * torch.linspace(0, 1, 90)).sum().backward()
        assert read.grad is not None and head.weight.grad is not None
        found.append((losses.detach(), read.grad, head.weight.grad.clone()))
    for one in found[1:]:
        torch.testing.assert_close(one, found[0])
