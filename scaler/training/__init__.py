"""Training a network on a proxy: recipe, trainer, devices."""
