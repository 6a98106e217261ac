"""Recorded tables of trainings, the truths they leave possible, and strategies tried on them."""
