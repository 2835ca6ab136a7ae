"""What the two forms of a run share: everything but the calls."""
from __future__ import annotations

import collections
import datetime
import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dyad_serve import (_evaluate, _input, _json, _reading, _rows, _run_file, _run_header, _run_tasks, _text_tasks, _words_task,
                        errors, results)
from dyad_serve._run_tasks import Task

_pairs = functools.partial(Task, calls=None, answer=_run_tasks.pair_answer)
TASKS = {
    "score": Task("LM_EVAL", ("top_n", "word_split", "word_correction", "details"), None,
                  lambda line, _: _run_tasks.ask_score(line, {}),
                  _run_tasks.one_call("ScoringService/Score", _run_tasks.ask_score), _run_tasks.score_answer,
                  _run_tasks.SCORE_OPTIONS),
    **_text_tasks.TASKS,
    "surprisal": _words_task.TASK,
    "pairs": _pairs("LM_EVAL", ("prefix",), None, _run_tasks.check_pair),
    "blimp": _pairs("LM_EVAL", (*_run_tasks.FILES, "prefix"), "UID", _run_tasks.check_pair),
    "blimp_supplement": _pairs("BABYLM", (*_run_tasks.FILES, "prefix"), "UID", _run_tasks.check_pair_of_task),
    "reading": _reading.TASK,
    **_evaluate.TASKS,
}
# Cells of CSV and TSV that are JSON.
_JSON_COLUMNS = "options", "label", "numops", "ratio"

Line = tuple[int, _json.Object]


class Plan:
    """A run before and after it has asked the server what it is of: `lines` first, then `begin`, then `left`."""

    def __init__(self, path: _json.Path, model: str, task: str, input: _json.Path, options: Mapping[str, Any] | None,
                 retry_errors: bool) -> None:
        if task not in TASKS:
            raise ValueError(f"task is {task!r}; it is one of {', '.join(TASKS)}")
        self.task, self._name, self._path, self._model = TASKS[task], task, os.fspath(path), model
        self._retries = retry_errors
        self.given: _json.Object = {"model": model, **self.task.defaults}
        for name in ("convention", "special_tokens"):
            if name in self.task.names:
                self.given[name] = getattr(self.task, name)
        if self.task.variants:
            self.given["variant"] = self.task.variants[0]
        for name, value in (options or {}).items():
            if name not in self.task.names:
                raise TypeError(f"the task {task} has no option {name}; it has {', '.join(self.task.names)}")
            if value is not None and not (name == "details" and value is False):
                self.given[name] = _run_tasks.option(name, value)
        if self.task.variants and self.given["variant"] not in self.task.variants:
            raise ValueError(f"option variant is {self.given['variant']!r}; it is one of {', '.join(self.task.variants)}")
        self._typed = f"dyad_serve.Run({self._path!r}, client, task={task!r}, input={os.fspath(input)!r}" + (
            f", options={dict(options)!r})" if options else ")")
        self._named: set[str] = set()
        self._layout: _rows.Layout | None = None
        self._lines = self._read(input)

    def _read(self, input: _json.Path) -> _input.Input:
        renamed = _run_tasks.columns(self.given.get("columns", "")) if self.task.columns is None else {}
        if self.task.file_key is None and self.task.columns is None:
            kind: str | None = "jsonl"
        elif self.task.columns is None:
            kind = self.given.get("format")
        else:
            kind = _input.format_of_name(os.fspath(input)) or self.given.get("format", self.task.format)
            self._otherwise = kind if self.task.output_as_input else self.given.get("format", self.task.format)
        return _input.Input(input, self.task.file_key, self.given.get("limit"), self._check, kind, renamed,
                            [renamed.get(name, name) for name in _JSON_COLUMNS] if self.task.file_key else ())

    def _check(self, line: _json.Object) -> None:
        if self.task.columns is not None:
            return self._check_row(line)
        if line.get("run") is not None and not _run_header.is_run_id(line["run"]):
            raise ValueError("the key run is the answer's own; rename that of the line")
        self.task.check(line, self.given)
        if "model" in self.task.line_options and isinstance(line.get("model"), str):
            self._named.add(line["model"])

    def _lay_out(self, own: Iterable[str]) -> _rows.Layout:
        """How the rows stand in the file, once the columns of the input are known."""
        assert self.task.columns is not None
        if self._layout is None:
            kind = _input.format_of_name(self._path, output=True) or self._otherwise
            self._layout = _rows.Layout(kind, tuple(own) if kind != "jsonl" else (), self.task.columns(self.given),
                                        self.given.get("prefix", ""), self.task.number)
        return self._layout

    def _check_row(self, line: _json.Object) -> None:
        layout = self._lay_out(line)
        for key in line:
            if key in layout.ours:
                raise ValueError(f"the key '{key}' is the answer's; prefix='dyad_' renames those")
            if layout.own and key not in layout.own:
                raise ValueError(f"the key '{key}' is not in the first row, and so has no column")
        self.task.check(line, self.given)

    def own(self, models: Any) -> str:
        """The model that the run asks; empty if it does not say, and the server has several."""
        return self._model or (models[0].name if len(models) == 1 else "")

    def begin(self, models: Any, own: Any, info: results.ServerInfo) -> None:
        """Opens the file. `models` of ListModels, `own` of GetModel or None."""
        from dyad_serve import __version__
        given, task = self.given, {"name": self._name}
        if self.task.variants:
            task["variant"] = given["variant"]
        options = {name: given[name] for name in self.task.options if name in given and name != "unit"}
        if self.task.columns is not None and options.get("format") == self.task.format == "jsonl":
            del options["format"]
        fields: _json.Object = {"task": task, "options": options, "input": self._lines.description(), "command": self._typed}
        fields.update((name, given[name]) for name in ("convention", "special_tokens", "unit") if name in given)
        if own is not None:
            fields["model"] = _model(own)
        for model in sorted(models, key=lambda model: str(model.name)):
            if model.name in self._named - {self.own(models)}:
                fields["options"].setdefault("models", {})[model.name] = {
                    key: value for key, value in _model(model).items() if key not in ("name", "architecture", "structure", "device")}
        fields["server"] = {"version": info.version, "commit": info.commit}
        fields["client"] = {"name": "dyad_serve", "version": __version__}
        fields["created"] = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.header = _run_header.finish(fields)
        self.digests = {model.name: model.digest for model in models}
        if self.task.columns is not None:  # of a table without rows, too
            self._lay_out(self._lines.columns)
        self.file = _run_file.RunFile(self._path, self.header, self._lines.path, self._layout, self._retries)

    @property
    def digest(self) -> str:
        """Of the run's own model; empty if it has none."""
        return str(self.header.get("model", {}).get("digest", ""))

    def left(self) -> Iterator[Line]:
        """The lines that are asked for, with their numbers."""
        self.file.check_open()
        first = self.file.answers
        for number, line in enumerate(self._lines):
            if number >= first or number in self.file.again:
                yield number, line

    def calls(self, line: _json.Object) -> _run_tasks.Calls:
        """What the line asks for."""
        assert self.task.calls is not None
        return self.task.calls(line, self.given)

    def answer(self, line: _json.Object, response: Any) -> Any:
        """Of the line's last response. Raises an error if other weights gave it."""
        if hasattr(response, "model_digest") and self.digests.get(response.model, response.model_digest) != response.model_digest:
            raise errors.other_weights(response.model_digest, self.digests[response.model])
        return self.task.answer(line, self.given, response)

    def failure(self, line: _json.Object, error: errors.DyadError) -> _json.Object:
        """The error object that is the line's answer. Raises the error if it ends the run."""
        if not _run_tasks.is_of_line(error, line):
            raise error
        return _run_tasks.error_answer(error.code, error.message)

    def write(self, line: Line, answer: Any) -> list[_json.Object]:
        """Puts an answer into the file, and returns what stands there."""
        number, own = line
        if self._layout is not None:
            rows = self._layout.rows(number, self.task.keeps(own), self.header["run"], answer)
            self.file.append(number, self._layout.text(rows))
            return rows
        whole = {key: value for key, value in self.task.keeps(own).items() if key not in ("error", "run")}
        whole["run"] = self.header["run"]
        whole.update(answer)
        self.file.append(number, _json.format_line(whole) + "\n")
        return [whole]


class Sent:
    """Lines that were read for a stream, until their answers come."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._open: collections.deque[Line] = collections.deque()

    def read(self) -> Iterator[_json.Object]:
        """What the stream takes."""
        for line in self._lines:
            self._open.append(line)
            yield line[1]

    def next(self) -> Line:
        """The line whose answer came."""
        return self._open.popleft()


def _model(message: Any) -> _json.Object:
    kinds = (layer.structure.partition(" ")[0] for layer in message.layers)
    structure = next((kind for kind in kinds if kind != "dense"), "dense")
    names = ("name", "digest", "tokenizer_digest", "architecture", "structure", "weight_dtype", "kv_dtype", "arithmetic",
             "device")
    fields = {name: structure if name == "structure" else getattr(message, name) for name in names}
    if not fields["tokenizer_digest"]:
        del fields["tokenizer_digest"]
    return fields
