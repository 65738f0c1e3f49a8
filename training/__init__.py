"""Makes the models: datasets, losses, training stages, evaluation."""
