"""What several runs used together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ...domain.views import CallerTokens, ModelTokens, RunUsage, ThreadTokens


def add_up(usages: Iterable[RunUsage]) -> ThreadTokens:
    """The sums over runs, by model and by caller."""
    total: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    runs: Counter[str] = Counter()
    for usage in usages:
        total["runs"] += 1
        total["read"] += usage.total_input_tokens
        total["written"] += usage.total_output_tokens
        total["all"] += usage.total_tokens
        total["lead_agent"] += usage.lead_agent_tokens
        total["subagent"] += usage.subagent_tokens
        total["middleware"] += usage.middleware_tokens
        tokens.update(usage.tokens_by_model)
        runs.update(usage.tokens_by_model.keys())
    return ThreadTokens(
        total_tokens=total["all"],
        total_input_tokens=total["read"],
        total_output_tokens=total["written"],
        total_runs=total["runs"],
        by_model={model: ModelTokens(tokens=tokens[model], runs=runs[model]) for model in tokens},
        by_caller=CallerTokens(
            lead_agent=total["lead_agent"],
            subagent=total["subagent"],
            middleware=total["middleware"],
        ),
    )
