"""Who runs trainings: this process, processes of this machine, or the nodes of a Ray cluster."""
