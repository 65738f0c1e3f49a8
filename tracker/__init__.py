"""The live core: frames in, tracking results out. No Qt."""
