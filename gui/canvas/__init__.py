"""A picture, letterboxed, zoomed and panned, and what lies on it."""
