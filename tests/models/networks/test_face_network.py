import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from models import registry
from models.autoencoder.autoencoder import Autoencoder, AutoencoderConfig
from models.crop_rule import CropRule
from models.errors import FewmarkError
from models.files.autoencoder_file import load_autoencoder
from models.files.model_file import FaceModel, count_parameters, load_model, save_model
from models.landmark_schemes import IBUG_68
from models.networks.interleaved.face_network import FaceNetwork, FaceNetworkConfig
from models.registry import AUTOENCODER, MODELS, open_model
from models.surgery.folding import Module, fold_batch_norm
from training.evaluation.calibration import fits_into_half


def randomised(network: Module) -> Module:
    """Batch statistics as after training, so that folding and saving have something to get wrong."""
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize(
    ("input_size", "heatmap_size", "skips"), list(itertools.product((128, 256), (64, 128), (False, True)))
)
def test_shapes(input_size: int, heatmap_size: int, skips: bool) -> None:
    network = FaceNetwork(FaceNetworkConfig(68, input_size, heatmap_size, skip_connections=skips)).eval()
    images = torch.rand(2, 3, input_size, input_size)
    with torch.inference_mode():
        assert network(images).shape == (2, 68, heatmap_size, heatmap_size)
        located = network.locate(images)
        assert located.points.shape == (2, 68, 2)
        assert located.confidence.shape == (2, 68)
        assert network.encode(images).shape == (2, 99)
        reconstruction = network.reconstruct(images)
    assert reconstruction.shape == images.shape
    assert reconstruction.min() >= 0
    assert reconstruction.max() <= 1


def test_the_head_has_the_papers_0_88_million_parameters() -> None:
    head = FaceNetwork(FaceNetworkConfig(68)).head
    assert count_parameters(head) == 880_640


def test_encoder_and_decoder_have_about_ten_million_parameters_each() -> None:
    network = FaceNetwork(FaceNetworkConfig(68, 128, 64))
    assert 10e6 < count_parameters(network.encoder) < 12e6
    assert 10e6 < count_parameters(network.decoder) < 12e6


@pytest.mark.parametrize("input_size", [128, 256])
def test_the_landmark_path_leaves_the_image_layers_alone(input_size: int) -> None:
    network = FaceNetwork(FaceNetworkConfig(68, input_size, 64)).eval()
    touched: list[str] = []
    for name in ("lin", "layer5"):
        layer = getattr(network.decoder, name, None)
        if layer is not None:
            layer.register_forward_hook(lambda *_, name=name: touched.append(name))
    with torch.inference_mode():
        network(torch.rand(1, 3, input_size, input_size))
        assert touched == []
        network.reconstruct(torch.rand(1, 3, input_size, input_size))
    assert "lin" in touched


@pytest.mark.parametrize(("input_size", "skips"), [(128, True), (256, False)])
def test_folding_batch_normalisation_changes_nothing(input_size: int, skips: bool) -> None:
    network = randomised(FaceNetwork(FaceNetworkConfig(68, input_size, 64, skip_connections=skips)))
    folded = fold_batch_norm(network)
    images = torch.rand(2, 3, input_size, input_size)
    with torch.inference_mode():
        torch.testing.assert_close(folded(images), network(images), atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(folded.reconstruct(images), network.reconstruct(images), atol=1e-4, rtol=1e-3)
    layers = [m for part in (folded.encoder, folded.decoder) for m in part.modules()]
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in layers)


@pytest.mark.parametrize("half", [False, True])
def test_a_model_file_brings_back_the_same_model(tmp_path: Path, half: bool) -> None:
    network = randomised(FaceNetwork(FaceNetworkConfig(68, 128, 64, skip_connections=True)))
    model = FaceModel("test", network, IBUG_68, CropRule(1.4, 0.05, False), True, {"data": "none"}, label_offset=0.01)
    path = tmp_path / "sub" / "test.safetensors"
    save_model(path, model, half=half)
    loaded = load_model(path)
    assert (loaded.name, loaded.scheme, loaded.crop_rule) == ("test", IBUG_68, CropRule(1.4, 0.05, False))
    assert loaded.reconstructs
    assert loaded.provenance == {"data": "none"}
    assert loaded.label_offset == 0.01
    assert loaded.network.config == network.config
    for key, value in network.state_dict().items():
        tolerance = {"atol": 1e-3, "rtol": 1e-3} if half else {"atol": 0, "rtol": 0}
        torch.testing.assert_close(loaded.network.state_dict()[key], value, **tolerance)


def test_what_half_precision_cannot_hold_is_stored_in_single(tmp_path: Path) -> None:
    network = randomised(FaceNetwork(FaceNetworkConfig(68, 128, 64, width=0.125)))
    variance = network.decoder.layer2[0].bn1.running_var
    variance[1] = 1e5  # float16 ends at 65,504
    path = tmp_path / "model.safetensors"
    save_model(path, FaceModel("test", network, IBUG_68, CropRule()), half=True)
    loaded = load_model(path).network
    torch.testing.assert_close(loaded.decoder.layer2[0].bn1.running_var, variance, rtol=0, atol=0)
    assert path.stat().st_size < 1.2 * 2 * count_parameters(network) + 1e5
    assert fits_into_half(loaded)
    assert not fits_into_half(network)


def test_a_model_reconstructs_with_the_autoencoder_that_it_carries(tmp_path: Path) -> None:
    network = randomised(FaceNetwork(FaceNetworkConfig(68, 128, 64)))
    autoencoder = randomised(Autoencoder(AutoencoderConfig(128, 50, 0.5)))
    path = tmp_path / "both.safetensors"
    save_model(path, FaceModel("both", network, IBUG_68, CropRule(), carries=autoencoder))
    loaded = load_model(path)
    assert loaded.reconstructs
    images = torch.rand(2, 3, 128, 128)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.reconstructor.reconstruct(images), autoencoder.reconstruct(images))
        torch.testing.assert_close(loaded.network(images), network(images))
        folded = fold_batch_norm(autoencoder)
        torch.testing.assert_close(folded.reconstruct(images), autoencoder.reconstruct(images), atol=1e-4, rtol=1e-3)


def test_an_autoencoder_of_another_size_is_refused() -> None:
    network = FaceNetwork(FaceNetworkConfig(68, 128, 64))
    with pytest.raises(FewmarkError, match="takes 256 px crops, the network 128 px"):
        FaceModel("odd", network, IBUG_68, CropRule(), carries=Autoencoder(AutoencoderConfig(256)))


def test_damaged_and_foreign_model_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match="no such model file"):
        load_model(tmp_path / "absent.safetensors")
    garbage = tmp_path / "garbage.safetensors"
    garbage.write_bytes(b"\x00" * 100)
    with pytest.raises(FewmarkError, match="not a readable model file"):
        load_model(garbage)
    from safetensors.torch import save_file

    foreign = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(1)}, foreign)
    with pytest.raises(FewmarkError, match="not a Fewmark model"):
        load_model(foreign)
    with pytest.raises(FewmarkError, match="neither a shipped model"):
        open_model(tmp_path / "absent.safetensors")


@pytest.mark.parametrize("size", [64, 0, 200])
def test_an_unsupported_size_is_refused(size: int) -> None:
    with pytest.raises(FewmarkError, match="not supported"):
        FaceNetwork(FaceNetworkConfig(68, size))
    with pytest.raises(FewmarkError, match="not supported"):
        FaceNetwork(FaceNetworkConfig(68, 128, size + 1))


@pytest.mark.parametrize("name", MODELS)
def test_every_shipped_model_loads_runs_and_has_a_card(name: str) -> None:
    entry = MODELS[name]
    model = open_model(name)
    assert model.name == name
    assert entry.weights.stat().st_size < 60e6
    assert model.reconstructs
    assert model.crop_rule == load_autoencoder(AUTOENCODER.weights).crop_rule
    assert entry.card.is_file()
    shape = model.network.config
    with torch.inference_mode():
        located = model.network.locate(torch.rand(1, 3, shape.input_size, shape.input_size))
    assert located.points.shape == (1, model.scheme.num_points, 2)
    assert torch.isfinite(located.points).all()
    assert "validation" in model.provenance


@pytest.mark.parametrize(("change", "said"), [({"sha256": "0" * 64}, "damaged or changed"), ({"name": "x"}, "missing")])
def test_a_shipped_file_that_is_not_as_it_was_is_told(
    change: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = next(iter(MODELS))
    with monkeypatch.context() as patch:
        patch.setitem(MODELS, name, replace(MODELS[name], **change))
        with pytest.raises(FewmarkError, match=f"{said}.*install Fewmark again"):
            open_model(name)
    monkeypatch.setattr(registry, "AUTOENCODER", replace(AUTOENCODER, **change))
    model = open_model(name)  # opens all the same: nobody asked for a reconstruction yet
    with pytest.raises(FewmarkError, match=f"{said}.*install Fewmark again"):
        _ = model.reconstructor


def test_a_model_may_carry_the_autoencoder_of_half_its_side() -> None:
    autoencoder = Autoencoder(AutoencoderConfig(128, z_dim=8, width=0.125))
    network = FaceNetwork(FaceNetworkConfig(68, 256, 64, width=0.125))
    model = FaceModel("half", network, IBUG_68, CropRule(), carries=autoencoder.eval())
    assert model.reconstructs
    images = torch.rand(2, 3, 256, 256)
    with torch.inference_mode():
        shown = model.reconstructor.reconstruct(images)
        small = autoencoder.decode(autoencoder.encode(F.avg_pool2d(images, 2)))
    assert shown.shape == images.shape
    torch.testing.assert_close(F.interpolate(small, scale_factor=2, mode="bilinear").clamp(0, 1), shown)
