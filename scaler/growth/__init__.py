"""Step two: a network grown along a policy, trained at every size, and handed over."""
