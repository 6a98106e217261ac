"""Which training comes next: one file per strategy."""
