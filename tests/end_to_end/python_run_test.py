#!/usr/bin/env python3
"""Run, read_run and compare of the Python package, against a real server: the same files as dyadctl, byte for byte behind
the header; either goes on with what the other began; another run is refused by both, with the field named."""
import fractions
import json
import math
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

from support.bootstrap import philox
from support.raised import raised
from support.run_schema import SCHEMA, faults
from support.server import BUILD, DEMO, SOURCE, Server

sys.path.insert(0, str(SOURCE / "client" / "python"))
import dyad_serve  # noqa: E402
from dyad_serve import _run_tasks, _statistics  # noqa: E402

NOUNS = ["cats", "dogs", "naïve birds", "old men", "日本 trees", "\"quoted\" ones"]
LONG = "word " * 600


def texts():
    lines = [{"text": f"The {noun} sleep, {i}.", "id": i * 1e14 / 7, "own": [1e15, 1.5e-7, -0.0, 18446744073709551615, {"é\x7f": None}]}
             for i, noun in enumerate(NOUNS * 8)]
    lines[3].update(context="Two", error="mine", run="0123456789ab")
    lines[5] = {"ids": [7, 8], "context_ids": [2], "convention": "CONDITIONAL"}
    lines[7] = {"text": LONG, "id": 7}  # an answer, too: why not
    return lines


def pairs():
    lines = [{"sentence_good": f"The {noun} sleep {i}.", "sentence_bad": f"The {noun} sleeps {i}.", "UID": f"agreement_{i % 3}",
              "n": 0.1 * i} for i, noun in enumerate(NOUNS * 8)]
    lines[2]["context"] = "Look: "
    lines[4]["sentence_bad"] = LONG
    lines[9]["sentence_bad"] = lines[9]["sentence_good"]
    return lines


def choices():
    lines = [{"options": [f" {noun} sleep", " <b>", " a cat"], "context": f"Two {i}", "label": i % 3, "group": f"<b>{i % 2}"}
             for i, noun in enumerate(NOUNS * 5)]
    lines[1].pop("context")
    lines[2].update(label=None)
    lines[3]["options"][1] = LONG
    return lines


# Task: its lines, its options, the same as flags.
CASES = {
    "score": (texts, {"top_n": 2, "word_split": "PUNCTUATION", "word_correction": "OH_SCHULER", "details": True},
              ["--top_n=2", "--word_split=PUNCTUATION", "--word_correction=OH_SCHULER", "--details"]),
    "pairs": (pairs, {"convention": "BABYLM"}, ["--convention=BABYLM"]),
    "blimp": (pairs, {"limit": 30}, ["--limit=30"]),
    "blimp_supplement": (pairs, {"special_tokens": "LITERAL"}, ["--special_tokens=LITERAL"]),
    "choices": (choices, {}, []),
}


class Files:
    """An input of a task, and runs of it by both programs."""

    def __init__(self, folder, task):
        self.lines, self.options, self.flags = CASES[task]
        self.task, self.folder = task, folder
        self.source = folder / f"{task}.jsonl"
        self.source.write_text('{"dyad_run":{"not": "a line"}}\n\n' + "".join(
            json.dumps(line, ensure_ascii=i % 2 == 0) + "\n" for i, line in enumerate(self.lines())))

    def run(self, client, output, **options):
        return dyad_serve.Run(output, client, task=self.task, options={**self.options, **options}, input=self.source)

    def ctl(self, server, output, *flags, check=True):
        evaluates = self.task in ("blimp_supplement", "choices")
        words = ["evaluate", self.task] if evaluates else [self.task]
        run = server.ctl(*words, "--input", str(self.source), "--output", str(output), *self.flags, *flags, check=False)
        assert not check or run.returncode in (0, 1) and "lines failed" in run.stderr, run
        return run


def body(path):
    return path.read_bytes().split(b"\n", 1)[1]


def check_same_files(server, client, folder):
    for task in CASES:
        files = Files(folder, task)
        ours, theirs = folder / f"{task}.python", folder / f"{task}.dyadctl"
        files.ctl(server, theirs)
        with files.run(client, ours) as run:
            given = list(run)
        assert body(ours) == body(theirs), first_difference(ours, theirs)
        read, other = dyad_serve.read_run(ours), dyad_serve.read_run(theirs)
        assert given == list(read.rows) == list(other.rows)
        errors = [row for row in read.rows if "error" in row]
        assert errors and "512" in errors[-1]["error"]["message"], errors
        assert not faults({"dyad_run": read.header}, SCHEMA), faults({"dyad_run": read.header}, SCHEMA)
        for key in read.header.keys() | other.header.keys():
            assert key in ("command", "created", "client") or read.header[key] == other.header[key], (task, key, read, other)
        assert read.header["client"]["name"] == "dyad_serve" and list(read.header) == list(other.header)
        # A finished run stays as it is, for both.
        whole = ours.read_bytes()
        assert list(files.run(client, ours)) == []
        files.ctl(server, ours)
        assert ours.read_bytes() == whole
        verified = server.ctl("verify", str(ours), "--sample=10")
        assert "all with the same bits" in verified.stdout, verified
        check_going_on(server, client, files, ours, theirs)


def first_difference(ours, theirs):
    return next((a, b) for a, b in zip(body(ours).split(b"\n"), body(theirs).split(b"\n")) if a != b)


def check_going_on(server, client, files, ours, theirs):
    """From wherever the other was stopped, to the same bytes; the header stays the one that began."""
    dice = random.Random(files.task)
    for begun, goes_on in ((theirs, "python"), (ours, "dyadctl")):
        whole = begun.read_bytes()
        header = whole.index(b"\n") + 1
        for cut in (0, header // 2, header - 1, header, *(dice.randrange(header, len(whole)) for _ in range(3))):
            torn = files.folder / "torn"
            torn.write_bytes(whole[:cut])
            if goes_on == "python":
                left = len(list(files.run(client, torn)))
                assert left == whole.count(b"\n") - max(1, whole[:cut].count(b"\n"))
            else:
                files.ctl(server, torn)
            assert body(torn) == whole[header:], (files.task, goes_on, cut)
            assert cut < header or torn.read_bytes() == whole
    # Left in the middle: what was given is in the file, and nothing else.
    torn.unlink()
    with files.run(client, torn) as run:
        for given in run:
            if run.answers == 5:
                break
        assert dyad_serve.read_run(torn).rows[-1] == given and len(dyad_serve.read_run(torn).rows) == 5
    assert "anew" in str(raised(ValueError, lambda: list(run)))
    files.ctl(server, torn)
    assert body(torn) == body(ours)


def check_refusals(server, client, folder):
    """Another convention, option, input; a foreign file, the input, a file in use: by both, and nothing is touched."""
    for task, changed, flag, field in (("pairs", {"convention": "LM_EVAL"}, "--convention=LM_EVAL", "convention"),
                                       ("score", {"top_n": 3}, "--top_n=3", "options.top_n"),
                                       ("blimp", {"limit": 31}, "--limit=31", "options.limit"),
                                       ("choices", {"special_tokens": "LITERAL"}, "--special_tokens=LITERAL", "special_tokens")):
        files = Files(folder, task)
        output = folder / f"{task}.python"
        whole = output.read_bytes()
        error = raised(dyad_serve.RunMismatch, lambda: files.run(client, output, **changed))
        assert (error.field, list(error.differences), error.now) == (field, [field], next(iter(changed.values()))), error
        assert isinstance(error, dyad_serve.DyadError) and error.code == "FAILED_PRECONDITION" and field in error.fields
        flags = [one for one in files.flags if not one.startswith(flag.split("=")[0])]
        files.flags = [*flags, flag]
        refused = files.ctl(server, output, check=False)
        assert refused.returncode == 1 and f"{field} is " in refused.stderr, refused
        assert output.read_bytes() == whole
    files = Files(folder, "pairs")
    output = folder / "pairs.python"
    whole = output.read_bytes()
    with files.source.open("a") as more:
        more.write(json.dumps({"sentence_good": "a", "sentence_bad": "b"}) + "\n")
    error = raised(dyad_serve.RunMismatch, lambda: files.run(client, output))
    assert error.field == "input.sha256" and {len(error.there), len(error.now)} == {64}, error
    refused = files.ctl(server, output, check=False)
    assert refused.returncode == 1 and 'input.sha256 is "' in refused.stderr, refused
    assert output.read_bytes() == whole
    notes = folder / "notes"
    notes.write_text("my notes\n")
    for path, what in ((notes, "no header"), (files.source, "is the input")):
        before = path.read_bytes()
        assert what in str(raised(dyad_serve.DyadError, lambda: files.run(client, path)))
        assert path.read_bytes() == before
    with files.run(client, folder / "used"):
        assert "another run" in raised(dyad_serve.DyadError, lambda: files.run(client, folder / "used")).message
        assert "another run" in files.ctl(server, folder / "used", check=False).stderr
    raised(TypeError, lambda: files.run(client, folder / "new", top_n=3))
    raised(ValueError, lambda: files.run(client, folder / "new", convention="BABY"))
    assert not (folder / "new").exists()
    for line, what in (('{"sentence_good": "a"}', "sentence_bad must be a string"), ("[1]", "must be a JSON object"),
                       ('{"sentence_good": "a", "sentence_bad": "b", "run": "x"}', "the key run"),
                       ('{"sentence_good": "a", "sentence_bad": "b", "Context": "x"}', "'context' is one"),
                       ('{"sentence_good": "a", "sentence_bad": "\\ud800"}', "surrogate"), ('{"sentence_good": NaN}', "NaN")):
        files.source.write_text('{"sentence_good": "a", "sentence_bad": "b"}\n' + line + "\n")
        error = raised(dyad_serve.InvalidArgument, lambda: files.run(client, folder / "new"))
        assert "pairs.jsonl: line 2: " in error.message and what in error.message, error
    assert not (folder / "new").exists()


def check_other_weights(folder):
    """The same name, other weights, or another tokenizer alone: by its digest, in both."""
    for part in ("model", "tokenizer"):
        other = folder / part
        shutil.copytree(DEMO, other)
        changed = other / ("config.json" if part == "model" else "tokenizer.json")
        value = json.loads(changed.read_text())
        if part == "model":
            value["dropout"] = 0.3
        else:
            value["model"]["merges"].pop()
        changed.write_text(json.dumps(value))
        field = "model.digest" if part == "model" else "model.tokenizer_digest"
        files, output = Files(folder, "score"), folder / "score.python"
        whole = output.read_bytes()
        with Server({"demo": other}) as server, dyad_serve.Client(server.address) as client:
            error = raised(dyad_serve.RunMismatch, lambda: files.run(client, output))
            assert field in error.differences and set(error.differences) <= {"model.digest", field}, error
            assert error.there != error.now and {len(error.there), len(error.now)} == {64}, error
            refused = files.ctl(server, output, check=False)
            assert refused.returncode == 1 and f'{field} is "' in refused.stderr, refused
        assert output.read_bytes() == whole


def check_lost_server(folder):
    """The run ends with Unavailable, the file is whole, and the same run goes on with a new server."""
    for task in ("score", "pairs"):
        files, output = Files(folder, task), folder / "lost"
        output.unlink(missing_ok=True)
        files.source.write_text(files.source.read_text() * 40)
        with Server({"demo": DEMO}) as server:
            with dyad_serve.Client(server.address, timeout=5) as client:
                answers = iter(files.run(client, output))
                next(answers)
                server.process.kill()
                server.process.wait()
                raised((dyad_serve.Unavailable, dyad_serve.DeadlineExceeded), lambda: list(answers))
            assert output.read_bytes().endswith(b"\n") and len(dyad_serve.read_run(output).rows) >= 1
            server.log.close()
            server.__enter__()
            with dyad_serve.Client(server.address) as client:
                list(files.run(client, output))
                list(files.run(client, folder / f"{task}.whole"))
        assert body(output) == body(folder / f"{task}.whole")


def check_folders(server, client, folder):
    """A folder and an archive of it have the same lines; lines get the name of their file; .gz is unpacked."""
    corpus = folder / "corpus"
    (corpus / "b").mkdir(parents=True)
    for name in ("b/x.jsonl", "a.jsonl"):
        lines = [{key: value for key, value in line.items() if key != "UID"} for line in pairs()[10:15]]
        (corpus / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    (corpus / "README.md").write_text("not read")
    server.ctl("blimp", str(corpus), "--output", str(folder / "folder.dyadctl"))
    list(dyad_serve.Run(folder / "folder.python", client, task="blimp", input=corpus))
    read = dyad_serve.read_run(folder / "folder.python")
    assert body(folder / "folder.python") == body(folder / "folder.dyadctl")
    assert read.header["run"] == dyad_serve.read_run(folder / "folder.dyadctl").header["run"]
    assert [row["UID"] for row in read.rows] == ["a"] * 5 + ["x"] * 5
    for kind in ("gztar", "zip"):
        packed = shutil.make_archive(str(folder / "packed"), kind, corpus)
        list(dyad_serve.Run(folder / f"{kind}.python", client, task="blimp", input=packed))
        server.ctl("blimp", packed, "--output", str(folder / f"{kind}.python"))
        assert [row["good_sum"] for row in dyad_serve.read_run(folder / f"{kind}.python").rows] == [
            row["good_sum"] for row in read.rows]


def check_compare(client, folder):
    """The numbers of dyadctl compare: all bits, of p within 1e-9."""
    for task in ("pairs", "choices"):
        files = Files(folder, task)
        first, second = folder / "first", folder / "second"
        for path, convention in ((first, "BABYLM"), (second, "MINICONS_MEAN")):
            path.unlink(missing_ok=True)
            list(files.run(client, path, convention=convention))
        found = dyad_serve.compare(first, second)
        wanted = json.loads(subprocess.run([BUILD / "bin" / "dyadctl", "compare", first, second, "--json"], check=True,
                                           capture_output=True).stdout)
        assert list(found.headers) == wanted["runs"] and found.left_out == wanted["left_out"] > 0
        assert list(found.changes) == wanted.get("changes", [])
        assert [row["row"] for row in found.rows] == list(wanted["rows"]) and len(found.rows) >= 2
        for ours, theirs in [*zip(found.rows, wanted["rows"].values()), (found.pooled, wanted["pooled"])]:
            for key, value in theirs.items():
                near = abs(ours[key] - value) <= 1e-9 * value
                assert near if key in ("p", "p_holm") else ours[key] == value, (key, ours, theirs)
        assert "<table>" in found._repr_html_() and "<b>" not in found._repr_html_()
    assert found.changes and any(row["low"] < row["high"] for row in found.rows), found
    error = raised(dyad_serve.RunMismatch, lambda: dyad_serve.compare(folder / "pairs.python", folder / "choices.python"))
    assert list(error.fields) == ["input.sha256", "task.name"], error
    second.write_bytes(second.read_bytes()[:-5])
    assert "the same command" in raised(dyad_serve.DyadError, lambda: dyad_serve.compare(first, second)).message


def check_readme(client, folder):
    """The lines of README that are about runs."""
    files = Files(folder, "pairs")
    readme = (SOURCE / "client" / "python" / "README.md").read_text()
    lines = [line for line in re.findall(r"`([^`|]+)`", readme) if re.search(r"\b(Run|read_run|compare)\(", line)]
    assert len(lines) == 3, lines
    before = os.getcwd()
    os.chdir(folder)
    try:
        list(files.run(client, "b.jsonl", convention="LM_EVAL"))
        for line in lines:
            exec(line, {**vars(dyad_serve), "client": client, "print": lambda *_: None})
    finally:
        os.chdir(before)


def check_tables_of_words(server, folder):
    """read_run of dyadctl's CSV, TSV and JSON lines: the same rows."""
    source = folder / "words.csv"
    source.write_text('text,note\n"The cats, sleep.","a ""b"""\n日本 birds sing.,\n')
    read = {}
    for suffix in ("csv", "tsv", "jsonl"):
        server.ctl("surprisal", "--input", str(source), "--output", str(folder / f"words.out.{suffix}"))
        read[suffix] = dyad_serve.read_run(folder / f"words.out.{suffix}")
    assert read["csv"].header["run"] == read["tsv"].header["run"] and list(read["csv"].rows) == list(read["tsv"].rows)
    rows = [row for row in read["csv"].rows if row["word"] == "cats,"]
    assert rows[0]["note"] == 'a "b"' and isinstance(rows[0]["surprisal"], float) and rows[0]["begin"] == 4
    assert len(read["jsonl"].rows) == len(read["csv"].rows) and "<table>" in read["csv"]._repr_html_()
    assert [row["surprisal"] for row in read["jsonl"].rows] == [row["surprisal"] for row in read["csv"].rows]


def check_statistics():
    """The random numbers by their plain definition, and known values of the tests."""
    # Of the authors: known answers of Random123.
    assert philox([0] * 4, [0, 0]) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    # Each number of drawn items by exact fractions, from its definition in client/statistics.h.
    bootstrap, dice = _statistics.Bootstrap(), random.Random(1)
    for n, stratum in ((1, 0), (2, 5), (5, 3), (23, 4), (64, 1)):
        scores = sorted(dice.choices([-1.0, -0.5, 0.0, 0.5, 1.0], k=n))
        means = bootstrap.means(scores, stratum)
        for draw in dice.sample(range(_statistics.DRAWS), 50):
            left, total, count = n, 0.0, n
            for stage, score in enumerate(sorted(set(scores))):
                hits, words = scores.count(score), philox([stage // 2, stratum, draw, 0], [0, 0])[stage % 2 * 2:]
                share = fractions.Fraction(hits, count)
                u, below, taken = fractions.Fraction((words[0] << 32 | words[1]) >> 11, 1 << 53), 0, -1
                while below <= u and taken < left:
                    taken += 1
                    below += math.comb(left, taken) * share**taken * (1 - share)**(left - taken)
                left, count, total = left - taken, count - hits, total + score * taken
            assert left == 0 and means[draw] == total / n, (scores, stratum, draw)
    # As many of each score as draws with replacement take, by their mean and variance.
    means = bootstrap.means([0.0] * 90 + [1.0] * 10, 7)
    mean = sum(means) / len(means)
    assert abs(mean - 0.1) < 0.001 and abs(sum((m - mean)**2 for m in means) / len(means) / (0.1 * 0.9 / 100) - 1) < 0.05
    assert _statistics.mcnemar_p(0, 0) == 1 and _statistics.mcnemar_p(5, 1) == 0.21875 and _statistics.mcnemar_p(3, 3) == 1
    assert _statistics.mcnemar_p(30_000, 31_000) < 1e-4
    assert _statistics.holm_adjusted([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]
    assert _run_tasks.distance("max-newTokens", "max_new_tokens") == 0 and _run_tasks.distance("contxet", "context") == 2


def main():
    check_statistics()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with Server({"demo": DEMO}) as server, dyad_serve.Client(server.address) as client:
            check_same_files(server, client, folder)
            check_folders(server, client, folder)
            check_compare(client, folder)
            check_readme(client, folder)
            check_tables_of_words(server, folder)
        check_lost_server(folder)
        check_other_weights(folder)
        with Server({"demo": DEMO}) as server, dyad_serve.Client(server.address) as client:
            check_refusals(server, client, folder)
    print("python run: the same files as dyadctl, from either to the other; refusals by field; compare's numbers")


if __name__ == "__main__":
    main()
