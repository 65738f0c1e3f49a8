"""One process or many, behind one interface: what a training loop needs of its fellow processes.

Several GPUs or machines go through Lightning Fabric (extra ``cluster``): it starts the processes, finds the cluster's
scheduler, and averages gradients. Launch the same command on every node, or let Slurm or torchrun do it.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, TypeVar, cast

import torch
from torch import nn

from models.errors import FewmarkError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

M = TypeVar("M", bound=nn.Module)


class Processes:
    """A single process: nothing to share, nobody to wait for."""

    rank = 0  # of this process, 0 <= rank < world_size
    world_size = 1

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def share_gradients(self, module: M) -> M:
        """The module, or one around it whose backward pass averages the gradients of all processes."""
        return module

    def mean(self, value: float) -> float:
        """The mean over all processes."""
        return value

    def any(self, flag: bool) -> bool:
        """Whether it is true in any process: all of them then do the same."""
        return flag

    def wait(self) -> None:
        """Until all processes are here."""


class FabricProcesses(Processes):
    """Processes that Lightning Fabric started."""

    def __init__(self, fabric: Fabric) -> None:
        super().__init__(fabric.device)
        self._fabric = fabric
        self.rank, self.world_size = fabric.global_rank, fabric.world_size

    def share_gradients(self, module: M) -> M:
        if self.device.type == "cuda":
            module = cast(M, nn.SyncBatchNorm.convert_sync_batchnorm(module))
        wrapped = self._fabric.setup_module(module, move_to_device=False)
        if hasattr(module, "heatmaps_and_reconstruction"):
            wrapped.mark_forward_method("heatmaps_and_reconstruction")
        return cast(M, wrapped)

    def mean(self, value: float) -> float:
        return float(cast(torch.Tensor, self._fabric.all_reduce(torch.tensor(value, device=self.device))))

    def any(self, flag: bool) -> bool:
        return self.mean(float(flag)) > 0

    def wait(self) -> None:
        self._fabric.barrier()


def start_processes(device: str | None = None, devices: int = 1, num_nodes: int = 1) -> Processes:
    """The processes of a training run; with more than one, this very command is started again for each of the others.

    Args:
        device: a torch device; None takes a GPU if there is one. With several processes only its type counts.
        devices: processes on this machine, one a GPU.
        num_nodes: machines.

    Raises:
        FewmarkError: there are fewer devices, or Lightning Fabric is not installed.
    """
    chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if devices == 1 and num_nodes == 1:
        return Processes(chosen)
    if chosen.type == "cuda" and devices > torch.cuda.device_count():
        raise FewmarkError(f"--devices {devices}: this machine has {torch.cuda.device_count()} GPUs")
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy
    except ImportError as error:
        raise FewmarkError("more than one process needs Lightning Fabric: pip install 'fewmark[cluster]'") from error
    # Unused: the decoder's last layers, which the landmark path leaves out.
    strategy = DDPStrategy(find_unused_parameters=True, timeout=datetime.timedelta(minutes=30))
    fabric = Fabric(accelerator=chosen.type, devices=devices, num_nodes=num_nodes, strategy=strategy)
    fabric.launch()
    return FabricProcesses(fabric)
