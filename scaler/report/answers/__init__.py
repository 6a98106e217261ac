"""What runs say, in sentences."""
