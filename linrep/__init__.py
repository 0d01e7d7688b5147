"""linrep: the latent concept model of linear representations, its training, and its geometry."""

__version__ = "0.1.0"
