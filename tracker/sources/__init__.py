"""Where frames come from: video files, images, cameras, network streams."""

from tracker.sources.animated_webp import AnimatedWebp
from tracker.sources.base import FrameSource
from tracker.sources.camera import CameraInfo, CameraSource, find_camera, list_cameras
from tracker.sources.images import ImageFiles, read_image
from tracker.sources.opening import open_source
from tracker.sources.stream import NetworkStream
from tracker.sources.video_file import VideoFile

__all__ = [
    "AnimatedWebp",
    "CameraInfo",
    "CameraSource",
    "FrameSource",
    "ImageFiles",
    "NetworkStream",
    "VideoFile",
    "find_camera",
    "list_cameras",
    "open_source",
    "read_image",
]
