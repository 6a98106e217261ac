"""Arithmetic of compound scaling: multipliers, coefficients, shares, budgets, rounding. No torch."""
