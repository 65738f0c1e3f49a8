"""The only place where coordinates change frame."""
