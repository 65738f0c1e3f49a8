"""Panels that several workspaces show."""
