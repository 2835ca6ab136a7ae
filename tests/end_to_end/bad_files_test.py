#!/usr/bin/env python3
"""Files as people have them, through dyadctl and the Python package each: what is read in spite of its form, what is
refused and with which words, and outputs that are somebody else's, torn, locked, or on a full disk."""
import contextlib
import gzip
import io
import json
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile
import zipfile

from support.raised import raised
from support.server import BUILD, DEMO, SOURCE, Server

sys.path.insert(0, str(SOURCE / "client" / "python"))
import dyad_serve  # noqa: E402

GOOD, BAD = "The cats sleep.", "The cats sleeps."
PAIR = json.dumps({"sentence_good": GOOD, "sentence_bad": BAD, "UID": "u"}).encode()
CHOICE = b'{"options": [" cat", " cats"], "context": "Two", "label": 1}'
TEXT = b'{"text": "The cats sleep."}'
MARK = b"\xef\xbb\xbf"


def zipped(name, content):
    with io.BytesIO() as data:
        with zipfile.ZipFile(data, "w") as archive:
            archive.writestr(name, content)
        return data.getvalue()


# Task, name of the file, its content: the answers are those of the plain file of lines.
READ = [
    *((task, f"{kind}.jsonl{end}", change(line + b"\n" + line + b"\n"))
      for task, line in (("pairs", PAIR), ("score", TEXT), ("surprisal", TEXT), ("blimp", PAIR), ("choices", CHOICE))
      for kind, end, change in (("mark", "", lambda data: MARK + data), ("crlf", "", lambda data: data.replace(b"\n", b"\r\n")),
                                ("blank", "", lambda data: b"\n \n" + data.replace(b"\n", b"\n\n") + b"\t\r\n"),
                                ("no_line_feed", "", lambda data: data.removesuffix(b"\n")), ("packed", ".gz", gzip.compress))),
    *((task, "array.json", b"\n[" + line + b",\n " + line + b"]\n")
      for task, line in (("pairs", PAIR), ("score", TEXT), ("surprisal", TEXT), ("blimp", PAIR), ("choices", CHOICE))),
    ("blimp", "archive.zip", zipped("x.jsonl", PAIR + b"\n" + PAIR)),
    ("surprisal", "mark.csv", MARK + b'text\r\n"The cats sleep."\r\nThe cats sleep.\r\n'),
]
PLAIN = {"pairs": PAIR, "score": TEXT, "surprisal": TEXT, "blimp": PAIR, "choices": CHOICE}

# Task, name of the file, its content, options; what both programs say.
REFUSED = [
    ("surprisal", "more.csv", b"text,n\na,1\nb,2,3\n", {}, "line 3, column 3: the record has 3 columns, the first line 2"),
    ("surprisal", "fewer.csv", b'text,n\n"a\nb",1\nc\n', {}, "line 4, column 2: the record has 1 columns, the first line 2"),
    ("choices", "more.tsv", b"options\tlabel\n[]\t0\t1\n", {}, "line 2, column 3: the record has 3 columns, the first line 2"),
    ("surprisal", "twice.csv", b"text,n,text\na,1,b\n", {}, "line 1, column 3: the name 'text' stands twice"),
    ("choices", "twice.csv", b'options,options\na,b\n', {}, "line 1, column 2: the name 'options' stands twice"),
    ("surprisal", "open.csv", b'text\n"a\n', {}, "the quote that opens on line 2 does not close"),
    ("surprisal", "quote.csv", b'text\na"b\n', {}, "line 2, column 1: a quote in a cell that does not begin with one"),
    ("surprisal", "behind.csv", b'text\n"a"b\n', {}, "line 2, column 1: text behind the quote that ends the cell"),
    ("surprisal", "return.csv", b"text\na\rb\n", {}, "line 2, column 1: a carriage return without line feed"),
    ("surprisal", "latin.csv", b"text\ncaf\xe9\n", {}, "line 2, column 1: no UTF-8"),
    ("surprisal", "binary.csv", b"text\na\0\n", {}, "line 2, column 1: a zero byte"),
    ("surprisal", "ours.csv", b"text,surprisal\na,1\n", {}, "--prefix=dyad_|prefix='dyad_'"),
    ("surprisal", "own_item.csv", b"text,item\na,1\n", {}, "'item' is "),
    ("choices", "ours.csv", b'options,score\n"[""a"", ""b""]",1\n', {}, "has the key score, which the answer has too"),
    ("blimp_supplement", "lacks.jsonl", b'{"sentence_good": "a"}\n', {}, "lacks.jsonl: line 1: |sentence_bad"),
    ("surprisal", "empty.csv", b"", {}, "is empty: its first line must name the columns"),
    ("choices", "empty.jsonl", b"", {}, "is empty|has no lines"),
    ("choices", "blank.jsonl", b"\n\n", {}, "has no lines"),
    ("blimp", "blank.json", b"[]", {}, "has no lines"),
    ("surprisal", "column.csv", b"sentence\na\n", {}, "text"),
    ("ewok", "lacks.jsonl", b'{"Domain": "d", "Context1": "a", "Context2": "b", "Target1": "c"}\n', {},
     "lacks.jsonl: line 1: lacks the key Target2"),
    ("comps", "lacks.csv", b"prefix_acceptable,property_phrase\na,b\n", {}, "lacks.csv: line 2: lacks the key prefix_unacceptable"),
    ("choices", "one.jsonl", CHOICE + b'\n{"options": ["a"]}\n', {}, "one.jsonl: line 2: options must be a list of 2 to 64 strings"),
    ("choices", "one.json", b'[{"options": ["a"]}]', {}, "one.json: item 1: options must be a list of 2 to 64 strings"),
    ("choices", "label.jsonl", b'{"options": ["a", "b"], "label": 2}\n', {}, "label must be the number of an option, from 0"),
    ("ewok", "context.jsonl", b'{"Domain": "d", "Context1": "a", "Context2": "b", "Target1": "c", "Target2": "d", "context": "e"}',
     {}, "has a context, which the task ewok does not have"),
    ("wug_adj", "tab.jsonl", b'{"sentences": "a b", "ratio": 1}', {}, "sentences must be two texts with a tab between"),
    ("wug_past", "ratio.csv", b'sentences,ratio\n"a\tb",much\n', {}, "the column ratio must hold JSON, found 'much'"),
    ("entity_tracking", "numops.jsonl", b'{"input_prefix": "a", "options": ["b", "c"], "numops": 1.5}', {}, "numops must be an integer"),
    *((task, "broken.json", b'[{"text": "a"},\n {"text" "b"}]', {}, "line 2,|line 2 column 10")
      for task in ("score", "pairs", "surprisal", "choices", "blimp")),
    *((task, "number.json", b'[{}, 7]', {}, "item 2: must be a JSON object, found: number|item 1") for task in ("score", "pairs", "surprisal")),
    *((task, "torn.jsonl.gz", gzip.compress(line * 1000)[:-9], {}, "unpacked")
      for task, line in (("score", TEXT), ("pairs", PAIR), ("surprisal", TEXT))),
    *((task, "packed.jsonl", zipped("x.jsonl", line), {}, "UTF-8|binary")
      for task, line in (("score", TEXT), ("pairs", PAIR), ("surprisal", TEXT))),
    ("blimp", "other.zip", zipped("x.txt", PAIR), {}, "is no archive with *.jsonl files, and none itself"),
    ("choices", "folder", None, {}, "no *.jsonl in "),
]
# Of single rows dyadctl writes the error in the row's place; the package refuses the file.
ROWS = [
    ("surprisal", "span.csv", b"text,where\nThe cats,4:9\n", {"regions": "where"}, "the region '4:9' is not inside the text's 8 characters"),
    ("surprisal", "no_span.csv", b"text,where\nThe cats,4-9\n", {"regions": "where"}, "the region '4-9' is neither 12:18 nor JSON"),
    ("surprisal", "nth.jsonl", b'{"text": "a a", "where": {"text": "a", "nth": 3}}', {"regions": "where"}, "does not stand in the text"),
    ("surprisal", "number.jsonl", b'{"text": 7}', {}, "text must be a string, found: number|found: 7"),
    ("score", "lines.jsonl", b'{"text": "a"', {}, "JSON|delimiter"),
    ("pairs", "lacks.jsonl", b'{"sentence_good": "a"}', {}, "sentence_bad"),
]


class Both:
    """A run by both programs; each says what it answered or how it refused."""

    def __init__(self, server, client, folder):
        self.server, self.client, self.folder, self._runs = server, client, folder, 0

    def ctl(self, task, source, output, options):
        words = [task] if task in ("score", "pairs", "blimp", "surprisal") else ["evaluate", task]
        return self.server.ctl(*words, "--input", str(source), "--output", str(output),
                               *(f"--{name}={value}" for name, value in options.items()), check=False)

    def python(self, task, source, output, options):
        return list(dyad_serve.Run(output, self.client, task=task, input=source, options=options))

    def put(self, name, content):
        self._runs += 1
        path = self.folder / str(self._runs) / name
        path.parent.mkdir()
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content)
        return path

    def output(self):
        self._runs += 1
        return self.folder / f"out{self._runs}"


def answers(path):
    """Without what names the input."""
    rows = dyad_serve.read_run(path).rows
    return [{key: value for key, value in row.items() if key not in ("run", "UID", "file")} for row in rows]


def check_read(both):
    for task, name, content in READ:
        plain, outputs = both.output(), [both.output(), both.output()]
        both.python(task, both.put("plain.jsonl", PLAIN[task] + b"\n" + PLAIN[task] + b"\n"), plain, {})
        source = both.put(name, content)
        run = both.ctl(task, source, outputs[0], {})
        assert run.returncode == 0, (task, name, run)
        both.python(task, source, outputs[1], {})
        for output in outputs:
            assert answers(output) == answers(plain) and len(answers(plain)) >= 2, (task, name)


def said(words, message):
    return any(word in message for word in words.split("|"))


def check_refused(both):
    for task, name, content, options, words in REFUSED:
        source, output = both.put(name, content), both.output()
        run = both.ctl(task, source, output, options)
        line_errors = task in ("score", "pairs") and run.returncode == 1 and "failed; see" in run.stderr
        assert run.returncode == 1 and said(words, run.stderr) or line_errors and said(words, output.read_text()), (task, name, run)
        assert run.stderr.count("\n") == 1 or line_errors, run
        assert not output.exists() or line_errors, (task, name)
        output.unlink(missing_ok=True)
        error = raised(dyad_serve.DyadError, lambda: both.python(task, source, output, options))
        assert said(words, error.message) and not output.exists(), (task, name, error)
    for task, name, content, options, words in ROWS:
        source, output = both.put(name, content), both.output()
        run = both.ctl(task, source, output, options)
        assert run.returncode == 1 and "1 of 1 lines failed" in run.stderr, (task, name, run)
        [row] = dyad_serve.read_run(output).rows
        assert said(words, str(row["error"])), (task, name, row)
        output.unlink()
        error = raised(dyad_serve.InvalidArgument, lambda: both.python(task, source, output, options))
        assert said(words, error.message) and not output.exists(), (task, name, error)


@contextlib.contextmanager
def used_by_dyadctl(both, path):
    """dyadctl waits for lines of a run into this file."""
    program = subprocess.Popen([BUILD / "bin" / "dyadctl", "score", "--server", both.server.address, "--input", "-", "--output", path],
                               stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    program.stdin.write(TEXT + b"\n")
    program.stdin.flush()
    while not path.exists() or path.read_bytes().count(b"\n") < 2:
        pass
    yield
    program.stdin.close()
    program.wait()


def check_outputs(both):
    """Refused by both programs, and not touched."""
    for task, line in PLAIN.items():
        source = both.put("in.jsonl", line + b"\n" + line + b"\n")
        other = both.put("other.jsonl", line + b"\n")
        ours, link = both.output(), both.output()
        both.python(task, source, ours, {})
        link.symlink_to(source)
        tool = both.put("answers.jsonl", b'{"text": "a", "sum": -3.5}\n')
        broken = both.put("broken.jsonl", ours.read_bytes().replace(b'"run":"', b'"run":"0', 3))
        for output, given, words in ((source, source, "is the input"), (link, source, "is the input"), (ours, other, "input.sha256"),
                                     (tool, source, "no header"), (broken, source, "none of this run|another run|run is "),
                                     (pathlib.Path("/dev/null"), source, "no file in which")):
            before = output.read_bytes()
            run = both.ctl(task, given, output, {})
            if output.is_file():
                assert run.returncode == 1 and said(words, run.stderr), (task, output, run)
            error = raised(dyad_serve.DyadError, lambda: both.python(task, given, output, {}))
            assert said(words, error.message) and output.read_bytes() == before, (task, output, error)
        error = raised(dyad_serve.RunMismatch, lambda: both.python(task, source, ours, {"special_tokens": "LITERAL"}))
        assert error.field == "special_tokens"
    source, used = both.put("in.jsonl", TEXT + b"\n"), both.output()
    with used_by_dyadctl(both, used):
        assert "another run" in raised(dyad_serve.DyadError, lambda: both.python("score", source, used, {})).message
        assert "another run" in both.ctl("score", source, used, {}).stderr
    used.unlink()
    with dyad_serve.Run(used, both.client, task="score", input=source):
        assert "another run" in both.ctl("score", source, used, {}).stderr


def check_full_disk(both):
    """A file that may not grow stands for a full disk: both say so, and both go on with what is there."""
    source = both.put("in.jsonl", b"".join(json.dumps({"text": f"The cats sleep {i}."}).encode() + b"\n" for i in range(200)))
    whole = both.output()
    both.python("score", source, whole, {})

    def small():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    python = (f"import sys; sys.path.insert(0, {str(SOURCE / 'client' / 'python')!r}); import dyad_serve\n"
              f"list(dyad_serve.Run(sys.argv[1], dyad_serve.Client({both.server.address!r}), task='score', input={str(source)!r}))")
    for command in ([BUILD / "bin" / "dyadctl", "score", "--server", both.server.address, "--input", source, "--output"],
                    [sys.executable, "-c", python]):
        output = both.output()
        run = subprocess.run([*command, output], preexec_fn=small, capture_output=True, text=True)
        assert run.returncode == 1 and said("DATA_LOSS|File too large", run.stderr), run
        assert 0 < output.stat().st_size <= 20_000
        for goes_on in (lambda torn: both.python("score", source, torn, {}), lambda torn: both.ctl("score", source, torn, {})):
            torn = both.output()
            torn.write_bytes(output.read_bytes())
            goes_on(torn)
            assert torn.read_bytes().split(b"\n", 1)[1] == whole.read_bytes().split(b"\n", 1)[1]


def main():
    with tempfile.TemporaryDirectory() as name:
        with Server({"demo": DEMO}) as server, dyad_serve.Client(server.address) as client:
            both = Both(server, client, pathlib.Path(name))
            check_read(both)
            check_refused(both)
            check_outputs(both)
            check_full_disk(both)
    print(f"files: {len(READ)} read, {len(REFUSED) + len(ROWS)} refused, by dyadctl and Python alike")


if __name__ == "__main__":
    main()
