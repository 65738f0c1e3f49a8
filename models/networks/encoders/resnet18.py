"""ResNet-18 (He et al., CVPR 2016, table 1), in the blocks of 3FabRec's encoder."""

from __future__ import annotations

from torch import Tensor, nn

from models.autoencoder.blocks import ResidualBlock, initialise
from models.autoencoder.encoder import CHANNEL_MEAN
from models.networks.encoders.base import Encoder, EncoderSpec


class ResNet18(Encoder):
    """The layers of 3FabRec's encoder in its 128 px form, of any side; nobody publishes weights for it."""

    FOLDABLE = (("conv1", "bn1"),)

    def __init__(self) -> None:
        super().__init__()
        self.channels = (64, 128, 256, 512)
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.Sequential(ResidualBlock(64, 64), ResidualBlock(64, 64))
        self.layer2 = nn.Sequential(ResidualBlock(64, 128, 2), ResidualBlock(128, 128))
        self.layer3 = nn.Sequential(ResidualBlock(128, 256, 2), ResidualBlock(256, 256))
        self.layer4 = nn.Sequential(ResidualBlock(256, 512, 2), ResidualBlock(512, 512))
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        a = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x)))))
        b = self.layer2(a)
        c = self.layer3(b)
        return a, b, c, self.layer4(c)


RESNET18 = EncoderSpec(build=ResNet18, mean=CHANNEL_MEAN, deviation=None)
