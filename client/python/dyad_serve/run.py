"""Runs: a file of answers that says what it is of, and that only the same run goes on with."""
from __future__ import annotations

import collections
import concurrent.futures
import csv
import dataclasses
import os
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from dyad_serve import _csv, _input, _json, _reading, _run_file, _run_header, _run_plan, _run_tasks, _wire, errors
from dyad_serve.client import Client
from dyad_serve.table import Table

# Requests under way at once.
CONCURRENT = 16


class Run:
    """The answers to the lines of a file, in `path`: as dyadctl writes them, so that either goes on with what the other
    began. Iterating does what is left of it and gives those answers, in order; each is in the file before it is given.

    path          a new file, or one that this run began
    client        its model is asked; what ends a run, such as Unavailable, is raised, and the same Run made anew goes on
    task          "generate", "tokenize", "detokenize", "score", "surprisal" and "reading" (their answers are rows: .csv and
                  .tsv, too), "pairs", "blimp", "blimp_supplement", "choices", "comps", "entity_tracking", "ewok", "wug_adj"
                  or "wug_past"
    options       all that change an answer, as dyadctl's flags: convention (of those that score), special_tokens; the
                  fields of GenerateOptions (generate); add_special_tokens, details (tokenize); skip_special_tokens
                  (detokenize); top_n, word_split, word_correction, details (score); correction, split, unit, regions
                  (surprisal); columns, format (surprisal, reading); limit, format, columns (tasks with files); prefix
                  (surprisal, reading, and from pairs on); variant (ewok)
    input         JSON lines or a JSON array; of surprisal, reading and the tasks with files also CSV or TSV; these, from
                  blimp on, also take a folder or archive
    retry_errors  whether lines whose answer is an error are asked again; the new answers get into the file at its close

    header   what the file says it is of
    answers  to how many lines the file has one

    Raises RunMismatch if the file is of another run, and DyadError if it is no run's, or if a line cannot be asked for.
    """

    def __init__(self, path: _json.Path, client: Client, *, task: str, input: _json.Path,
                 options: Mapping[str, Any] | None = None, retry_errors: bool = False) -> None:
        self._client = client
        self._plan = _run_plan.Plan(path, client.model, task, input, options, retry_errors)
        models = client._call("ModelService/ListModels", _wire.message("ListModelsRequest")()).models
        own = self._plan.own(models)
        model = client._call("ModelService/GetModel", _wire.message("GetModelRequest")(model=own)).model if own else None
        self._plan.begin(models, model, client.server_info())

    @property
    def header(self) -> dict[str, Any]:
        return self._plan.header

    @property
    def answers(self) -> int:
        return self._plan.file.answers

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the file; the end of an iteration does it, too."""
        self._plan.file.close()

    def __iter__(self) -> Generator[dict[str, Any], None, None]:
        self._plan.file.check_open()
        try:
            for line, answer in self._scored() if self._plan.task.calls else self._streamed():
                yield from self._plan.write(line, answer)
        finally:
            self.close()

    def _streamed(self) -> Iterator[tuple[_run_plan.Line, Any]]:
        plan, sent = self._plan, _run_plan.Sent(self._plan.left())
        for score in self._client._compare(_run_tasks.STREAM, sent.read(), plan.given["convention"], 512,
                                           plan.given["special_tokens"], plan.digest):
            line = sent.next()
            yield line, plan.task.answer(line[1], plan.given, score)

    def _scored(self) -> Iterator[tuple[_run_plan.Line, Any]]:
        waiting: collections.deque[tuple[_run_plan.Line, concurrent.futures.Future[Any]]] = collections.deque()
        pool = concurrent.futures.ThreadPoolExecutor(CONCURRENT)
        try:
            for line in self._plan.left():
                waiting.append((line, pool.submit(self._answer, line[1])))
                if len(waiting) == 2 * CONCURRENT:
                    first, answer = waiting.popleft()
                    yield first, answer.result()
            for first, answer in waiting:
                yield first, answer.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _answer(self, line: _json.Object) -> Any:
        """The answer, or error object, of a line."""
        calls, response = self._plan.calls(line), None
        try:
            while True:
                response = self._client._call(*calls.send(response))
        except StopIteration:
            return self._plan.answer(line, response)
        except errors.DyadError as error:
            return self._plan.failure(line, error)


@dataclasses.dataclass(frozen=True)
class RunAnswers:
    """What stands in a file of a run: its header, and a row for each answer."""

    header: dict[str, Any]
    rows: Table

    def frame(self) -> Any:
        """The rows as a pandas.DataFrame; ImportError without pandas."""
        return self.rows.frame()

    def _repr_html_(self) -> str:
        return Table([{"run": self.header.get("run"), "task": self.header.get("task", {}).get("name"),
                       "model": self.header.get("model", {}).get("name"), "convention": self.header.get("convention"),
                       "input": self.header.get("input", {}).get("name")}])._repr_html_() + self.rows._repr_html_()


def read_run(path: _json.Path) -> RunAnswers:
    """The file of a run, of dyadctl's or ours; a torn last line is left out. Of a CSV or TSV file, whose header is in
    FILE.run.json, empty cells are None and the answer's own columns numbers. DyadError if it is no file of a run."""
    name = os.fspath(path)
    kind, beside = _input.format_of_name(name, output=True), name + _run_file.HEADER_SUFFIX
    if kind in _csv.SEPARATORS or kind is None and os.path.exists(beside):
        with open(beside, "rb") as file:
            header = _run_header.read(file.read(), beside)
        separator = _csv.SEPARATORS[kind or _format_of(header)]
        with open(name, encoding="utf-8-sig", newline="") as text:
            numbers = _number_columns(header)
            return RunAnswers(header, Table(
                {column: None if value == "" else numbers.get(column, str)(value) for column, value in row.items()}
                for row in csv.DictReader(text, delimiter=separator)))
    with open(name, "rb") as file:
        header = _run_header.read(file.readline(), name)
        rows = []
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                break
            try:
                rows.append(_json.parse_line(line))
            except (ValueError, RecursionError) as error:
                raise errors.make("FAILED_PRECONDITION", f"{name}: answer {number}: {error}") from None
    return RunAnswers(header, Table(rows))


def _format_of(header: _json.Object) -> str:
    """Of a table whose name does not say it: reading makes what it read, surprisal what it was told."""
    given = str(header.get("options", {}).get("format", "csv"))
    is_reading = header.get("task", {}).get("name") == "reading"
    return is_reading and _input.format_of_name(header.get("input", {}).get("name", "")) or given


def _number_columns(header: _json.Object) -> dict[str, type]:
    """Those of a table's answers that hold numbers."""
    prefix = header.get("options", {}).get("prefix", "")
    names: dict[str, type] = {"surprisal": float}
    names.update((name, int) for name in ("item", "word_index", "region_index", "begin", "end", "tokens", "shared_tokens"))
    if header.get("task", {}).get("name") == "reading":
        names = {_reading.NUMBER: int, "pred": float, "prev_pred": float}
    return {prefix + name: kind for name, kind in names.items()}
