"""What scaled networks show together: Pareto fronts and scaling laws."""
