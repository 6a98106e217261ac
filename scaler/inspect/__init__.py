"""Looking inside trained networks: class activation maps, excitations, feature reuse. Numbers only."""
