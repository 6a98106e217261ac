"""Ways to spend a budget, as networks that meet it."""
