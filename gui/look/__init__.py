"""Colours, metrics, icons."""
