"""What a reader of a stream is promised: each frame once, in order, and then the end."""

from __future__ import annotations

from typing import Any

from .model import Model


class StreamReader:
    """Holds what one reader of one stream sees against the model.

    Args:
        model: knows the run, and what other readers saw.
        run_id: the run.
        last: the id of the frame it reads on from, or `None`.

    """

    def __init__(self, model: Model, run_id: str, last: str | None) -> None:
        self._model, self._run_id, self._last = model, run_id, int(last or 0)
        self._opened, self._closed = self._last > 0, False

    def saw(self, number: str | None, event: str, data: Any) -> None:
        """A frame came."""
        check, run_id = self._model.check, self._run_id
        if event == "heartbeat":
            return
        check("nothing follows the end", not self._closed, run_id, number, event)
        first = event in {"metadata", "gap"}
        check("metadata comes first", self._opened or first, run_id, "begins with", event)
        self._opened = True
        if event == "gap":
            self._last = (data["earliest"] or self._last + 1) - 1
        if number is not None:
            dense = int(number) == self._last + 1
            check("no hole in streams", dense, run_id, number, event, "after", self._last)
            self._last = int(number)
            self._compare(self._last, (event, data))
        if event == "end":
            self._closed = True
            self._model.answered(run_id, data["status"])

    def _compare(self, number: int, said: tuple[str, Any]) -> None:
        run = self._model.runs.get(self._run_id)
        if run is not None:
            kept = run.frames.setdefault(number, said)
            self._model.check("one stream for all", kept == said, run, number, kept, "and", said)

    def ended(self) -> None:
        """Nothing more came."""
        erased = self._run_id not in self._model.runs
        ended = self._closed or erased
        self._model.check("streams end with end", ended, self._run_id, "broke off")
