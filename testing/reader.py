"""What readers are promised, of streams and of the log: each thing once, and in order."""

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
        self._attempt: Any = None
        """Which one speaks, once that is known."""

    def saw(self, number: str | None, event: str, data: Any) -> None:
        """A frame came."""
        check, run_id = self._model.check, self._run_id
        self._attend()
        if event == "heartbeat":
            return
        check("nothing follows the end", not self._closed, run_id, number, event)
        first = event in {"metadata", "gap"}
        check("metadata comes first", self._opened or first, run_id, "begins with", event)
        self._opened = True
        if event == "gap":
            earliest = data["earliest"] or self._last + 2  # nothing is left
            check("gaps are holes", earliest > self._last + 1, run_id, data, "after", self._last)
            self._last, self._attempt = (data["earliest"] or self._last + 1) - 1, None
        self._listen(event, data)
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

    def _listen(self, event: str, data: Any) -> None:
        """Frames that name their attempt are of the one that was announced last."""
        attempt = data.get("attempt") if isinstance(data, dict) else None
        if event == "metadata":
            self._attempt = attempt
        elif None not in (attempt, self._attempt):
            alive = attempt == self._attempt
            self._model.check("ghosts are not heard", alive, self._run_id, event, data)

    def _attend(self) -> None:
        run = self._model.runs.get(self._run_id)
        if run is not None and not run.deserted:
            run.steady.add(self)

    def leaves(self) -> None:
        """It reads no more."""
        run = self._model.runs.get(self._run_id)
        if run is not None:
            run.deserted = True
            run.steady.discard(self)

    def ended(self) -> None:
        """Nothing more came."""
        erased = self._run_id not in self._model.runs
        ended = self._closed or erased
        self._model.check("streams end with end", ended, self._run_id, "broke off")


def heard(model: Model, before: int, run_id: str, sequence: int, again: bool) -> None:
    """An observer was told of an event, `before` being the last of that run it heard."""
    # What is erased need not be told, and may be when there is another run of that id.
    run, erased = model.runs.get(run_id), run_id in model.gone
    stored = run is None or sequence <= len(run.events)
    model.check("durable before told", stored or erased, run_id, sequence)
    in_order = sequence == before + 1 or (again and sequence <= before + 1)
    model.check("observers in order", in_order or erased, run_id, sequence, "after", before)
