"""Running many trainings: what one is, who runs it, and the study that records it."""
