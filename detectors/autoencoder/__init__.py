"""An autoencoder of pictures, and the heads that judge by its latent and by how well it rebuilds."""
