"""Networks as data: specs, how they scale, and how they become layers and modules."""
