"""The training loop that every stage shares: averaged weights, log and checkpoints.

A stage may be trained by several processes of one thread each. They train apart, on other batches, and take
the mean of their weights every few steps (local SGD, Stich, 2019): far fewer waits than threads that share
each operation, which tells on a machine that does other work too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

LOG_EVERY = 50
SAVE_EVERY = 250
SHARE_EVERY = 10
WORKERS = 2
FALL = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one stage trains. The stage ends after `steps` or, with a time limit, so that it ends in time."""

    name: str
    steps: int
    learning_rate: float
    warmup: int = 100
    ema: float = 0.999
    weight_decay: float = 0.01
    clip: float = 1.0


def learning_rate(plan: Plan, step: int) -> float:
    """Return the learning rate of a step: warm-up, then constant, then a linear fall to 2 % at the end."""
    if step < plan.warmup:
        return plan.learning_rate * (step + 1) / plan.warmup
    left = max(0.0, 1 - step / plan.steps)
    return plan.learning_rate * (0.02 + 0.98 * min(1.0, left / FALL))


class Average:
    """Exponential moving average of a module's weights (the averaged copy is `module`)."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        """Start from the module's present weights."""
        self.module = deepcopy(module).requires_grad_(False).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move the average towards the module's weights, faster in the first steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        kept, new = list(self.module.parameters()), list(module.parameters())
        torch._foreach_mul_(kept, decay)
        torch._foreach_add_(kept, [p.detach() for p in new], alpha=1 - decay)
        for mine, other in zip(self.module.buffers(), module.buffers(), strict=True):
            mine.copy_(other)


TrainOne = Callable[[Path, bool], None]


def together(train_one: TrainOne, folder: Path, resume: bool) -> None:
    """Run `train_one(folder, resume)` in WORKERS processes that share their weights as they train."""
    (folder / "meeting").unlink(missing_ok=True)
    torch.multiprocessing.spawn(join, (train_one, folder, resume), nprocs=WORKERS)


def join(number: int, train_one: TrainOne, folder: Path, resume: bool) -> None:
    """Train as process `number`; number 0 logs, writes checkpoints and exports."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=number, world_size=WORKERS)
    train_one(folder, resume)
    distributed.barrier()
    distributed.destroy_process_group()


def worker() -> int:
    """Return the number of this process among those that train together; 0 when it is alone."""
    return distributed.get_rank() if distributed.is_initialized() else 0


@torch.no_grad()
def share(weights: list[nn.Parameter]) -> None:
    """Give every process the mean of all processes' weights."""
    if not distributed.is_initialized():
        return
    flat = torch.cat([w.detach().flatten() for w in weights])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for weight, mean in zip(weights, flat.split([w.numel() for w in weights]), strict=True):
        weight.copy_(mean.view_as(weight))


class Trainer:
    """Trains one module with AdamW; `loss(step)` computes a scalar loss of a batch that it makes itself."""

    def __init__(self, plan: Plan, module: nn.Module, folder: Path) -> None:
        """Keep checkpoints in `folder`/NAME.pt."""
        self.plan, self.module, self.path = plan, module, folder / f"{plan.name}.pt"
        self.weights = [p for p in module.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.weights, lr=plan.learning_rate, weight_decay=plan.weight_decay, betas=(0.9, 0.99), fused=True
        )
        self.average = Average(module, plan.ema)
        self.step = 0

    def resume(self) -> None:
        """Load the last checkpoint, if there is one."""
        if self.path.exists():
            state = torch.load(self.path, weights_only=True)
            self.module.load_state_dict(state["module"])
            self.average.module.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]

    def save(self) -> None:
        """Write a checkpoint, replacing the previous one at once."""
        state = {
            "module": self.module.state_dict(),
            "average": self.average.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }
        part = self.path.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.path)

    def train(self, loss: Callable[[int], Tensor], each_save: Callable[[int], None] | None = None) -> nn.Module:
        """Train to the end of the plan and return the averaged module."""
        started, total = time.monotonic(), 0.0
        while self.step < self.plan.steps:
            total += self.one_step(loss)
            if self.step % LOG_EVERY == 0 and worker() == 0:
                elapsed_s = time.monotonic() - started
                print(f"{self.plan.name} step {self.step} loss {total / LOG_EVERY:.5f} {elapsed_s:.0f} s", flush=True)
                total = 0.0
            if worker() == 0 and (self.step % SAVE_EVERY == 0 or self.step == self.plan.steps):
                self.save()
                if each_save:
                    each_save(self.step)
        return self.average.module

    def one_step(self, loss: Callable[[int], Tensor]) -> float:
        """Take one optimizer step and return the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.plan, self.step)
        value = loss(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(self.weights, self.plan.clip)
        self.optimizer.step()
        self.step += 1
        if self.step % SHARE_EVERY == 0:
            share(self.weights)
        self.average.update(self.module, self.step)
        return float(value.detach())
