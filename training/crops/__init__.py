"""Labelled faces as batches of augmented crops."""
