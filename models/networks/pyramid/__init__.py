"""The family of networks with a choice of encoders: their maps, from coarse to fine, through a thin decoder."""
