"""Runs: a file of answers that says what it is of, and that only the same run goes on with."""
from __future__ import annotations

import collections
import concurrent.futures
import csv
import dataclasses
import datetime
import itertools
import os
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from dyad_serve import _input, _json, _run_file, _run_header, _run_tasks, _wire, errors
from dyad_serve.client import Client
from dyad_serve.table import Table

# Requests under way at once.
_CONCURRENT = 16


class Run:
    """The answers to the lines of a file, in `path`: as dyadctl writes them, so that either goes on with what the other
    began. Iterating does what is left of it and gives those answers, in order; each is in the file before it is given.

    path     a new file, or one that this run began
    client   its model is asked; what ends a run, such as Unavailable, is raised, and the same Run made anew goes on
    task     "score", "pairs", "blimp", "blimp_supplement" or "choices"
    options  all that change an answer, as dyadctl's flags: convention, special_tokens; limit (blimp,
             blimp_supplement, choices); top_n, word_split, word_correction, details (score)
    input    file of JSON lines; blimp, blimp_supplement and choices also take a folder or archive

    header   what the file says it is of
    answers  how many the file has

    Raises RunMismatch if the file is of another run, and DyadError if it is no run's, or if a line cannot be asked for.
    """

    def __init__(self, path: _json.Path, client: Client, *, task: str, input: _json.Path,
                 options: Mapping[str, Any] | None = None) -> None:
        if task not in _run_tasks.TASKS:
            raise ValueError(f"task is {task!r}; it is one of {', '.join(_run_tasks.TASKS)}")
        self._task, self._client = _run_tasks.TASKS[task], client
        names = ("convention", "special_tokens", *self._task.options)
        given: _json.Object = {"model": client.model, "convention": self._task.convention, "special_tokens": "PARSE"}
        for name, value in (options or {}).items():
            if name not in names:
                raise TypeError(f"the task {task} has no option {name}; it has {', '.join(names)}")
            if value is not None and value is not False:
                given[name] = _run_tasks.option(name, value)
        self._given = given
        named: set[str] = set()
        self._lines = _input.Input(input, self._task.file_key, given.get("limit"), lambda line: self._check(line, named))
        typed = f"dyad_serve.Run({os.fspath(path)!r}, client, task={task!r}, input={os.fspath(input)!r}"
        self.header, self._digests = _described(client, {
            "task": {"name": task}, "convention": given["convention"], "special_tokens": given["special_tokens"],
            "options": {name: given[name] for name in self._task.options if name in given},
            "input": self._lines.description(), "command": typed + (f", options={dict(options)!r})" if options else ")"),
        }, named)
        self._file = _run_file.RunFile(path, self.header, self._lines.path)

    @property
    def answers(self) -> int:
        return self._file.answers

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the file; the end of an iteration does it, too."""
        self._file.close()

    def __iter__(self) -> Generator[_json.Object, None, None]:
        self._file.check_open()
        left = itertools.islice(self._lines, self.answers, None)
        try:
            for line, answer in self._scored(left) if self._task.ask else self._streamed(left):
                whole = {**self._task.keeps(line)}
                for key in ("error", "run"):
                    whole.pop(key, None)
                whole["run"] = self.header["run"]
                whole.update(answer)
                self._file.append(whole)
                yield whole
        finally:
            self.close()

    def _check(self, line: _json.Object, named: set[str]) -> None:
        if line.get("run") is not None and not _run_header.is_run_id(line["run"]):
            raise ValueError("the key run is the answer's own; rename that of the line")
        self._task.check(line)
        if self._task is _run_tasks.TASKS["score"] and isinstance(line.get("model"), str):
            named.add(line["model"])

    def _streamed(self, left: Iterator[_json.Object]) -> Iterator[tuple[_json.Object, _json.Object]]:
        lines: collections.deque[_json.Object] = collections.deque()

        def read() -> Iterator[_json.Object]:
            for line in left:
                lines.append(line)
                yield line

        for score in self._client._compare(_run_tasks.STREAM, read(), self._given["convention"], 512,
                                           self._given["special_tokens"], self.header.get("model", {}).get("digest", "")):
            line = lines.popleft()
            yield line, self._task.answer(line, self._given, score)

    def _scored(self, left: Iterator[_json.Object]) -> Iterator[tuple[_json.Object, _json.Object]]:
        waiting: collections.deque[tuple[_json.Object, concurrent.futures.Future[_json.Object]]] = collections.deque()
        pool = concurrent.futures.ThreadPoolExecutor(_CONCURRENT)
        try:
            for line in left:
                waiting.append((line, pool.submit(self._answer, line)))
                if len(waiting) == 2 * _CONCURRENT:
                    first, answer = waiting.popleft()
                    yield first, answer.result()
            for first, answer in waiting:
                yield first, answer.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _answer(self, line: _json.Object) -> _json.Object:
        """The answer, or error object, of a line."""
        assert self._task.ask is not None
        try:
            response = self._client._call("ScoringService/Score", self._task.ask(line, self._given))
        except errors.DyadError as error:
            if not _run_tasks.is_of_line(error, line):
                raise
            return _run_tasks.error_answer(error.code, error.message)
        if self._digests.get(response.model, response.model_digest) != response.model_digest:
            raise errors.other_weights(response.model_digest, self._digests[response.model])
        return self._task.answer(line, self._given, response)


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
    separator = {".csv": ",", ".tsv": "\t"}.get(os.path.splitext(name)[1].lower())
    if separator is not None:
        with open(f"{name}.run.json", "rb") as file:
            header = _run_header.read(file.read(), f"{name}.run.json")
        with open(name, encoding="utf-8-sig", newline="") as text:
            prefix = header.get("options", {}).get("prefix", "")
            return RunAnswers(header, Table(
                {column: _cell(column.removeprefix(prefix), value) for column, value in row.items()}
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


def _cell(column: str, value: str) -> Any:
    if value == "":
        return None
    if column in ("item", "word_index", "region_index", "begin", "end", "tokens", "shared_tokens"):
        return int(value)
    return float(value) if column == "surprisal" else value


def _described(client: Client, fields: _json.Object, named: set[str]) -> tuple[_json.Object, dict[str, str]]:
    """The header, and the digest of each model of the server."""
    from dyad_serve import __version__
    models = {model.name: model for model in client._call("ModelService/ListModels", _wire.message("ListModelsRequest")()).models}
    own = client.model or (next(iter(models)) if len(models) == 1 else "")
    if own:
        fields["model"] = _model(client._call("ModelService/GetModel", _wire.message("GetModelRequest")(model=own)).model)
    for name in sorted(named & models.keys() - {own}):
        described = _model(models[name])
        for key in ("name", "architecture", "structure", "device"):
            del described[key]
        fields["options"].setdefault("models", {})[name] = described
    info = client.server_info()
    fields["server"] = {"version": info.version, "commit": info.commit}
    fields["client"] = {"name": "dyad_serve", "version": __version__}
    fields["created"] = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _run_header.finish(fields), {name: model.digest for name, model in models.items()}


def _model(message: Any) -> _json.Object:
    kinds = (layer.structure.partition(" ")[0] for layer in message.layers)
    structure = next((kind for kind in kinds if kind != "dense"), "dense")
    names = ("name", "digest", "tokenizer_digest", "architecture", "structure", "weight_dtype", "kv_dtype", "arithmetic",
             "device")
    fields = {name: structure if name == "structure" else getattr(message, name) for name in names}
    if not fields["tokenizer_digest"]:
        del fields["tokenizer_digest"]
    return fields
