"""The settings as data, the panel made of them, the file that keeps them."""
