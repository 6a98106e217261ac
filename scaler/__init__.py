"""Scaler: find by experiment how a convolutional network should grow."""

__version__ = "0.1.0"
