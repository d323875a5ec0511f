"""Adding up tokens, in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, Select, cast, column, func, select, true

from ...domain.views import CallerTokens, ModelTokens, ThreadTokens
from .schema import runs, threads

_SUMMED = (
    "total_tokens",
    "total_input_tokens",
    "total_output_tokens",
    "lead_agent_tokens",
    "subagent_tokens",
    "middleware_tokens",
)


def token_sums(where: ColumnElement[bool]) -> Select[Any]:
    """One row: the sums over the chosen runs, and how many they are."""
    sums = [func.coalesce(func.sum(runs.c[name]), 0).label(name) for name in _SUMMED]
    counted = select(func.count().label("total_runs"), *sums)
    return counted.select_from(runs.join(threads)).where(where)


def tokens_by_model(where: ColumnElement[bool], dialect: str) -> Select[Any]:
    """One row a model: its tokens, and how many runs used it."""
    each: Any = func.json_each_text if dialect == "postgresql" else func.json_each
    models = each(runs.c.tokens_by_model).table_valued(column("key"), column("value")).alias("m")
    return (
        select(
            models.c.key.label("model"),
            func.sum(cast(models.c.value, BigInteger)).label("tokens"),
            func.count().label("runs"),
        )
        .select_from(runs.join(threads).join(models, onclause=true()))
        .where(where)
        .group_by(models.c.key)
    )


def thread_tokens(total: Row[Any], models: Sequence[Row[Any]]) -> ThreadTokens:
    """The sums as readers see them."""
    return ThreadTokens(
        total_tokens=int(total.total_tokens),
        total_input_tokens=int(total.total_input_tokens),
        total_output_tokens=int(total.total_output_tokens),
        total_runs=total.total_runs,
        by_model={row.model: ModelTokens(tokens=int(row.tokens), runs=row.runs) for row in models},
        by_caller=CallerTokens(
            lead_agent=int(total.lead_agent_tokens),
            subagent=int(total.subagent_tokens),
            middleware=int(total.middleware_tokens),
        ),
    )
