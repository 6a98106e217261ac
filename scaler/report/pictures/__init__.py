"""Pictures: one look, one file each, and all those of a run."""
