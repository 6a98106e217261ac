"""Step one: candidates that meet the measured budget, trained and compared."""
