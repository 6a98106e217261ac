"""What a network costs: closed form and fvcore counts, memory, latency."""
