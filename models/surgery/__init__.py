"""Networks made of other networks."""
