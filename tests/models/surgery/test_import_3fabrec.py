"""A random checkpoint in the published layout, written from the layout's description and not from our modules."""

import itertools
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.errors import FewmarkError
from models.surgery.import_3fabrec import import_3fabrec, our_key, published_key


def norm(prefix: str, channels: int) -> dict[str, Tensor]:
    return {
        f"{prefix}.weight": torch.rand(channels) + 0.5,
        f"{prefix}.bias": torch.randn(channels) * 0.1,
        f"{prefix}.running_mean": torch.randn(channels) * 0.1,
        f"{prefix}.running_var": torch.rand(channels) + 0.5,
        f"{prefix}.num_batches_tracked": torch.tensor(7),
    }


def conv(prefix: str, *shape: int) -> dict[str, Tensor]:
    return {f"{prefix}.weight": torch.randn(*shape) * 0.05}


def encoder_block(prefix: str, c_in: int, c_out: int, stride: int) -> dict[str, Tensor]:
    state = conv(f"{prefix}.conv1", c_out, c_in, 3, 3) | norm(f"{prefix}.bn1", c_out)
    state |= conv(f"{prefix}.conv2", c_out, c_out, 3, 3) | norm(f"{prefix}.bn2", c_out)
    if stride != 1 or c_in != c_out:
        state |= conv(f"{prefix}.downsample.0", c_out, c_in, 1, 1) | norm(f"{prefix}.downsample.1", c_out)
    return state


def decoder_block(prefix: str, c_in: int, c_out: int) -> dict[str, Tensor]:
    state = conv(f"{prefix}.conv1", c_in, c_out, 4, 4) | norm(f"{prefix}.bn1", c_out)
    state |= conv(f"{prefix}.conv2", c_out, c_out, 3, 3) | norm(f"{prefix}.bn2", c_out)
    return state | conv(f"{prefix}.upsample.0", c_in, c_out, 4, 4) | norm(f"{prefix}.upsample.1", c_out)


def published_state(input_size: int, landmarks: int, z_dim: int = 99) -> dict[str, Tensor]:
    state = conv("Q.conv1", 64, 3, 7, 7) | norm("Q.bn1", 64)
    stages = [("layer1", 64, 64, 2 if input_size == 256 else 1), ("layer2", 64, 128, 2)]
    stages += [("layer3", 128, 256, 2), ("layer4", 256, 512, 2)]
    if input_size == 256:
        stages.insert(0, ("layer0", 64, 64, 1))
    for name, c_in, c_out, stride in stages:
        state |= encoder_block(f"Q.{name}.0", c_in, c_out, stride) | encoder_block(f"Q.{name}.1", c_out, c_out, 1)
    state |= conv("Q.fc", z_dim, 512) | {"Q.fc.bias": torch.randn(z_dim)}
    state |= conv("P.fc", 512, z_dim) | {"P.fc.bias": torch.randn(512)}
    state |= conv("P.conv1", 512, 512, 4, 4) | norm("P.bn1", 512)
    channels = [512, 256, 128, 64, 64] + ([64] if input_size == 256 else [])
    for i, (c_in, c_out) in enumerate(itertools.pairwise(channels), start=1):
        state |= decoder_block(f"P.layer{i}.0", c_in, c_out)
    state |= conv("P.lin", 64, 3, 4, 4)
    for name, c in (("t1", 256), ("t2", 128), ("t3", 64), ("t4", 64), ("t5", 64)):
        state |= conv(f"LMH.{name}", c, c, 3, 3)
    state |= conv("LMH.lin", 64, landmarks, 4, 4)
    return state | conv("D_z.lin1", 1000, z_dim) | conv("D.conv1", 64, 3, 4, 4)


def write_checkpoint(folder: Path, state: dict[str, Tensor], **meta: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "meta.json").write_text(json.dumps(meta))
    torch.save({"state_dict": state, "arch": "AAE"}, folder / "saae.mdl")
    return folder


@pytest.mark.parametrize(("input_size", "landmarks"), [(128, 19), (256, 68), (256, 98)])
def test_every_published_tensor_arrives_unchanged(tmp_path: Path, input_size: int, landmarks: int) -> None:
    state = published_state(input_size, landmarks)
    folder = write_checkpoint(
        tmp_path / "ckpt", state, input_size=input_size, output_size=input_size, z_dim=99, num_landmarks=landmarks
    )
    imported = import_3fabrec(folder)
    ours = imported.model.network.state_dict()
    needed = {k for k in state if not k.startswith(("D_z.", "D.", "LMH.t5."))}
    assert {published_key(k) for k in ours} == needed
    for key in needed:
        name = our_key(key)
        assert name is not None
        assert torch.equal(ours[name], state[key])
    assert set(imported.left_out) == set(state) - needed
    assert imported.model.scheme.num_points == landmarks
    assert imported.model.reconstructs
    with torch.inference_mode():
        maps = imported.model.network(torch.rand(1, 3, input_size, input_size))
    assert maps.shape == (1, landmarks, 128, 128)


def test_the_forward_pass_is_the_published_one(tmp_path: Path) -> None:
    """The landmark path written out with plain functions, as the layout describes it."""
    from torch.nn import functional as F

    s = published_state(256, 68)
    network = import_3fabrec(write_checkpoint(tmp_path / "c", s, input_size=256, z_dim=99)).model.network

    def bn(x: Tensor, p: str) -> Tensor:
        return F.batch_norm(x, s[f"{p}.running_mean"], s[f"{p}.running_var"], s[f"{p}.weight"], s[f"{p}.bias"])

    def down(x: Tensor, p: str, stride: int) -> Tensor:
        short = x
        if f"{p}.downsample.0.weight" in s:
            short = bn(F.conv2d(x, s[f"{p}.downsample.0.weight"], stride=stride), f"{p}.downsample.1")
        y = F.relu(bn(F.conv2d(x, s[f"{p}.conv1.weight"], stride=stride, padding=1), f"{p}.bn1"))
        return F.relu(bn(F.conv2d(y, s[f"{p}.conv2.weight"], padding=1), f"{p}.bn2") + short)

    def up(x: Tensor, p: str) -> Tensor:
        short = bn(F.conv_transpose2d(x, s[f"{p}.upsample.0.weight"], stride=2, padding=1), f"{p}.upsample.1")
        y = F.relu(bn(F.conv_transpose2d(x, s[f"{p}.conv1.weight"], stride=2, padding=1), f"{p}.bn1"))
        return F.relu(bn(F.conv2d(y, s[f"{p}.conv2.weight"], padding=1), f"{p}.bn2") + short)

    image = torch.rand(1, 3, 256, 256)
    x = image - torch.tensor([0.518, 0.418, 0.361]).view(1, 3, 1, 1)
    x = F.max_pool2d(F.relu(bn(F.conv2d(x, s["Q.conv1.weight"], stride=2, padding=3), "Q.bn1")), 3, 2, 1)
    for name, stride in (("layer0", 1), ("layer1", 2), ("layer2", 2), ("layer3", 2), ("layer4", 2)):
        x = down(down(x, f"Q.{name}.0", stride), f"Q.{name}.1", 1)
    z = F.linear(x.mean((2, 3)), s["Q.fc.weight"], s["Q.fc.bias"])
    stem = F.linear(z, s["P.fc.weight"], s["P.fc.bias"])[..., None, None]
    stem = F.relu(bn(F.conv_transpose2d(stem, s["P.conv1.weight"]), "P.bn1"))
    x = stem
    for i in range(1, 5):
        x = F.conv2d(up(x, f"P.layer{i}.0"), s[f"LMH.t{i}.weight"], padding=1)
    maps = F.conv_transpose2d(x, s["LMH.lin.weight"], stride=2, padding=1)
    rgb = stem
    for i in range(1, 6):
        rgb = up(rgb, f"P.layer{i}.0")
    rgb = torch.tanh(F.conv_transpose2d(rgb, s["P.lin.weight"], stride=2, padding=1))
    rgb = rgb + torch.tensor([0.518, 0.418, 0.361]).view(1, 3, 1, 1)
    with torch.inference_mode():
        scale = maps.abs().max()
        torch.testing.assert_close(network(image) / scale, maps / scale, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(network.reconstruct(image), rgb.clamp(0, 1), atol=1e-4, rtol=1e-4)


def test_what_is_wrong_with_a_checkpoint_is_said(tmp_path: Path) -> None:
    state = published_state(128, 68)
    with pytest.raises(FewmarkError, match=r"meta\.json: missing"):
        import_3fabrec(tmp_path)
    folder = write_checkpoint(tmp_path / "size", state, input_size=100)
    with pytest.raises(FewmarkError, match="100 px is not supported"):
        import_3fabrec(folder)
    folder = write_checkpoint(tmp_path / "count", state, input_size=128, num_landmarks=98)
    with pytest.raises(FewmarkError, match="num_landmarks is 98"):
        import_3fabrec(folder)
    without = {k: v for k, v in state.items() if k != "Q.conv1.weight"}
    folder = write_checkpoint(tmp_path / "missing", without, input_size=128)
    with pytest.raises(FewmarkError, match=r"missing Q\.conv1\.weight"):
        import_3fabrec(folder)
    headless = {k: v for k, v in state.items() if not k.startswith("LMH")}
    folder = write_checkpoint(tmp_path / "headless", headless, input_size=128)
    with pytest.raises(FewmarkError, match="no landmark head"):
        import_3fabrec(folder)
    (folder / "saae.mdl").write_bytes(b"not a zip")
    with pytest.raises(FewmarkError, match="loaded safely"):
        import_3fabrec(folder)


def test_a_pickled_class_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "sprung",))

    folder = tmp_path / "trap"
    folder.mkdir()
    (folder / "meta.json").write_text("{}")
    torch.save({"state_dict": {}, "trap": Trap()}, folder / "saae.mdl")
    with pytest.raises(FewmarkError, match="loaded safely"):
        import_3fabrec(folder)
    assert not (tmp_path / "sprung").exists()
