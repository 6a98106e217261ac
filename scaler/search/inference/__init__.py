"""What noisy trainings say: the response surface, comparisons, the selection."""
