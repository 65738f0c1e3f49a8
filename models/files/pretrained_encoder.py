"""Published weights of encoders: state dicts of PyTorch's, read without unpickling classes."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch

from models.errors import FewmarkError
from models.networks.encoders import Encoder, PretrainedWeights


def load_pretrained(encoder: Encoder, weights: PretrainedWeights, path: Path) -> None:
    """Gives an encoder what its weights' file holds; what serves ImageNet's classes alone is left out.

    Raises:
        FewmarkError: the file can't be read, or holds another network's weights.
    """
    try:
        published = torch.load(path, map_location="cpu", weights_only=True)
        ours = {weights.our_key(key): value for key, value in published.items()}
        encoder.load_state_dict({key: value for key, value in ours.items() if key is not None})
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, AttributeError, LookupError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FewmarkError(f"{path}: not the weights of that encoder ({reason}); obtain the file again") from error
