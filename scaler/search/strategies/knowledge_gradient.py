"""The law with candidates alone: few full trainings, on the budget, by their knowledge gradient."""

from __future__ import annotations

from functools import partial

from scaler.search.strategies.law import LawOfGrowth

KnowledgeGradient = partial(LawOfGrowth, off_budget=False, name="knowledge-gradient")
