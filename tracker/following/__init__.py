"""A face from frame to frame."""
