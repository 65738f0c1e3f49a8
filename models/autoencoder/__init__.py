"""The autoencoder of 3FabRec, and what only its training needs."""
