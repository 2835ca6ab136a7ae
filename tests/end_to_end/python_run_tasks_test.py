#!/usr/bin/env python3
"""Runs of words and of the tasks of `evaluate` by the Python package, plain and by asyncio: the files of dyadctl, byte
for byte; either goes on with what the other began; errors are asked again."""
import asyncio
import csv
import gzip
import json
import pathlib
import random
import sys
import tempfile

from support.raised import raised
from support.run_schema import SCHEMA, faults
from support.server import DEMO, SOURCE, Server

sys.path.insert(0, str(SOURCE / "client" / "python"))
import dyad_serve  # noqa: E402

NOUNS = ["cats", "dogs", "naïve birds", "old men", "日本 trees", "\"quoted\" ones"]
LONG = "word " * 600


def ewok():
    return [{"Domain": f"d{i % 2}", "Context1": f"The {noun} sleep.", "Context2": f"The {noun} run.", "Target1": "They lie.",
             "Target2": LONG if i == 3 else "They go.", "n": i} for i, noun in enumerate(NOUNS)]


def comps():
    return [{"prefix_acceptable": f"The {noun}", "prefix_unacceptable": "A box", "property_phrase": LONG if i == 3 else "can fly."}
            for i, noun in enumerate(NOUNS)]


def entities():
    return [{"input_prefix": f"The {noun} are in box {i}. Box {i} has", "options": [f" the {noun}", " nothing", LONG if i == 3 else " a"],
             "numops": i % 2} for i, noun in enumerate(NOUNS)]


def wugs():
    return [{"sentences": f"a {noun}ness\ta {LONG if i == 3 else noun}ity", "ratio": i / 7} for i, noun in enumerate(NOUNS)]


def choices():
    return [{"own": noun, "options": [f" {noun} sleep", LONG if i == 3 else " no"], "context": f"Two {i}", "label": i % 2}
            for i, noun in enumerate(NOUNS)]


def texts():
    return [{"note": f"{i},\t\"n\"\n", "sentence": LONG if i == 3 else f"The {noun} sleep,  often.", "context": None if i % 2 else "Look:",
             "where": [f"4:{4 + len(noun)}", {"text": " ", "nth": 2}] if i % 2 else "0:3"} for i, noun in enumerate(NOUNS)]


def prompts():
    lines = [{"text": LONG if i == 3 else f"The {noun}", "number": i, "max_new_tokens": 3 + i % 2} for i, noun in enumerate(NOUNS)]
    lines[1] = {"ids": [2, 7.0, 8], "stop": "e", "n": 2, "own": None}
    lines[2].update(temperature=0.7, top_k=20, logit_bias={"5": -1.5, "+6": 2}, stop_ids=[4], ignore_eos=True)
    return lines


def words():
    return [{"item": LONG if i == 3 else f"The {noun}", "word": " sleep,", "prev_item": "" if i % 3 == 0 else "None", "prev_word": " the",
             "rt": f"{i / 7}", "what": f"{i},\t\"n\"\n"} for i, noun in enumerate(NOUNS)]


WORDS = {"columns": "text=sentence", "convention": "BABYLM", "unit": "nats", "correction": "OH_SCHULER"}
REGIONS = {"columns": {"text": "sentence"}, "regions": "where", "prefix": "x_", "split": "PUNCTUATION"}
# Those that are no tasks of evaluate.
COMMANDS = "score", "pairs", "blimp", "surprisal", "generate", "tokenize", "detokenize"
# Task; its lines; its options; endings of input and output.
CASES = [
    ("ewok", ewok, {}, ".jsonl", ".out"),
    ("ewok", ewok, {"variant": "paper", "convention": "LM_EVAL"}, ".csv", ".out"),
    ("comps", lambda: [{**line, "score": i, "row": "own"} for i, line in enumerate(comps())],
     {"convention": "MINICONS_MEAN", "prefix": "x_"}, ".json", ".out"),
    ("entity_tracking", entities, {}, ".jsonl.gz", ".out"),
    ("entity_tracking", entities, {}, ".tsv", ".out"),
    ("wug_adj", wugs, {}, ".csv", ".out"),
    ("wug_past", wugs, {"limit": 5}, ".json", ".out"),
    ("choices", choices, {"columns": "group=own", "format": "jsonl"}, ".txt", ".out"),
    ("blimp", lambda: [{"good": f"The {noun} sleep.", "bad": LONG if i == 3 else f"The {noun} sleeps."} for i, noun in enumerate(NOUNS)],
     {"columns": "sentence_good=good,sentence_bad=bad"}, ".csv", ".out"),
    ("pairs", lambda: [{"sentence_good": f"The {noun} sleep.", "sentence_bad": LONG if i == 3 else noun} for i, noun in enumerate(NOUNS)],
     {}, ".json", ".out"),
    *((task, lambda: [{"sentence_good": f"The {noun} sleep.", "sentence_bad": LONG if i == 3 else noun, "margin": "own", "correct": i}
                      for i, noun in enumerate(NOUNS)], {"prefix": "x_"}, ".jsonl", ".out") for task in ("pairs", "blimp", "blimp_supplement")),
    ("score", lambda: [{"text": LONG if i == 3 else noun, "n": 1e300 * i} for i, noun in enumerate(NOUNS)], {"top_n": 1}, ".json", ".out"),
    ("generate", prompts, {"seed": 7, "temperature": 0.5, "logprobs": 2, "stop": ["zz", "."], "echo": True}, ".json", ".out"),
    ("generate", lambda: [{key: value for key, value in line.items() if key != "n"} for line in prompts()],
     {"seed": 18446744073709551615, "max_new_tokens": 2, "stop_ids": [5, 6], "logit_bias": {7: -100}, "add_special_tokens": False,
      "special_tokens": "LITERAL"}, ".jsonl.gz", ".out"),
    ("tokenize", lambda: [{"text": "word " * 300_000 if i == 3 else f"{noun}</s>", "own": i, **({"special_tokens": "LITERAL"} if i % 2 else {})}
                          for i, noun in enumerate(NOUNS)], {"add_special_tokens": False, "details": True}, ".jsonl", ".out"),
    ("detokenize", lambda: [{"ids": [2, 999999 if i == 3 else i], "own": noun, "skip_special_tokens": i % 2 == 0 or None}
                            for i, noun in enumerate(NOUNS)], {"skip_special_tokens": True}, ".json", ".out"),
    *(("reading", words, options, begin, end) for options, begin, end in (
        ({}, ".csv", ".csv"), ({}, ".tsv.gz", ".out"), ({"prefix": "x_", "special_tokens": "LITERAL"}, ".json", ".tsv"),
        ({"columns": "prev_word=what", "format": "jsonl"}, ".txt", ".out"), ({"format": "csv"}, ".csv", ".jsonl"))),
    *(("surprisal", texts, options, begin, end) for options, begin, end in (
        (WORDS, ".jsonl", ".jsonl"), (WORDS, ".csv", ".csv"), (WORDS, ".tsv.gz", ".jsonl"), (WORDS, ".json", ".tsv"),
        (REGIONS, ".jsonl", ".csv"), (REGIONS, ".csv", ".jsonl"), ({**REGIONS, "format": "tsv"}, ".csv", ".out"))),
]


def write(path, lines):
    """The same lines in the format of the name's ending."""
    ending = path.name.removesuffix(".gz").rsplit(".", 1)[1]
    if ending in ("csv", "tsv"):
        with open(path.with_suffix(".plain"), "w", encoding="utf-8-sig", newline="") as file:
            out = csv.writer(file, delimiter="," if ending == "csv" else "\t", lineterminator="\r\n")
            out.writerow(lines[0])
            out.writerows([value if isinstance(value, str) else "" if value is None else json.dumps(value) for value in line.values()]
                          for line in lines)
        data = path.with_suffix(".plain").read_bytes()
    elif ending == "json":
        data = ("\n " + json.dumps(lines, indent=2)).encode()
    else:
        data = "".join(json.dumps(line) + "\r\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") else data)


def flags(options):
    """As typed for dyadctl: a list of texts is a flag for each."""
    words = []
    for name, value in options.items():
        if name == "columns" and isinstance(value, dict):
            value = ",".join(f"{key}={column}" for key, column in value.items())
        for one in value if name == "stop" else [value]:
            words.append(f"--{name}={one if isinstance(one, str) else json.dumps(one)}")
    return words


def body(path):
    """Everything but the header, which differs in command and time."""
    data = path.read_bytes()
    return data.split(b"\n", 1)[1] if data.startswith(b'{"dyad_run"') else data


def header_of(path):
    return dyad_serve.read_run(path).header


class Case:
    def __init__(self, folder, number):
        self.task, lines, self.options, begin, end = CASES[number]
        self.source = folder / f"in{number}{begin}"
        write(self.source, lines())
        self.ours, self.theirs, self.torn, self.later = (folder / f"{who}{number}{end}" for who in ("ours", "theirs", "torn", "later"))

    def run(self, client, output, **more):
        return dyad_serve.Run(output, client, task=self.task, options=self.options, input=self.source, **more)

    def ctl(self, server, output, *more):
        words = [self.task] if self.task in COMMANDS else ["evaluate", self.task]
        run = server.ctl(*words, "--input", str(self.source), "--output", str(output), *flags(self.options), *more, check=False)
        assert run.returncode == 0 or run.returncode == 1 and " failed; see" in run.stderr, run
        return run


def check(server, client, case):
    case.ctl(server, case.theirs)
    with case.run(client, case.ours) as run:
        given = list(run)
        header = run.header
    ours, theirs = body(case.ours), body(case.theirs)
    assert ours == theirs, (case.task, case.options, next(pair for pair in zip(ours.split(b"\n"), theirs.split(b"\n")) if len(set(pair)) > 1))
    there = json.loads((case.theirs.parent / (case.theirs.name + ".run.json")).read_text())["dyad_run"] if ours == case.ours.read_bytes() \
        else header_of(case.theirs)
    assert {key: there[key] for key in there if key not in ("command", "created", "client")} == {
        key: header[key] for key in header if key not in ("command", "created", "client")}, (there, header)
    assert list(there) == list(header) and not faults({"dyad_run": header}, SCHEMA), (there, header)
    assert sum(any(key.endswith("error") for key in row) for row in given) == 1, given
    read = list(dyad_serve.read_run(case.ours).rows)
    if beside(case.ours).exists():  # a table, whose other cells are texts
        read, given = ([{key: value for key, value in row.items() if isinstance(value, (int, float))} for row in rows]
                       for rows in (read, given))
    assert given == read, next(pair for pair in zip(given, read) if pair[0] != pair[1])
    check_going_on(server, client, case)
    verified = server.ctl("verify", str(case.ours), "--sample=3")
    assert "all with the same bits" in verified.stdout, verified


def beside(path):
    return path.with_name(path.name + ".run.json")


def check_going_on(server, client, case):
    """From wherever the other was stopped, to the same bytes; errors that are asked again become the same errors."""
    whole, dice = case.theirs.read_bytes(), random.Random(1)
    for retry, goes_on in ((False, "python"), (True, "python"), (True, "dyadctl")):
        for cut in (len(whole), 5, *(dice.randrange(1, len(whole)) for _ in range(2))):
            case.torn.write_bytes(whole[:cut])
            if beside(case.theirs).exists():
                beside(case.torn).write_bytes(beside(case.theirs).read_bytes())
            if goes_on == "python":
                left = list(case.run(client, case.torn, retry_errors=retry))
                assert cut < len(whole) or retry == any("error" in key for row in left for key in row), (case.task, left)
            else:
                case.ctl(server, case.torn, "--retry_errors")
            assert body(case.torn) == body(case.theirs), (case.task, goes_on, retry, cut)


# Values that no request has: in the words of both programs.
REFUSED = [
    ("generate", {"text": "a", "max_new_tokens": True}), ("generate", {"text": "a", "max_new_tokens": 1.5}),
    ("generate", {"text": "a", "n": 1 << 31}), ("generate", {"text": "a", "seed": -1}), ("generate", {"text": "a", "temperature": "hot" * 30}),
    ("generate", {"text": "a", "top_p": 1e39}), ("generate", {"text": "a", "stop": [1]}), ("generate", {"text": "a", "stop_ids": 5}),
    ("generate", {"text": "a", "special_tokens": "parse"}), ("generate", {"text": "a", "logit_bias": {"x": 1}}),
    ("generate", {"text": "a", "logit_bias": {"5": None}}), ("generate", {"text": "a", "logit_bias": [5]}),
    ("generate", {"text": "a", "echo": 1}), ("generate", {"text": 7}), ("generate", {"ids": [1, "2"]}), ("generate", {"ids": 7}),
    ("tokenize", {"text": "a", "add_special_tokens": "no"}), ("detokenize", {"ids": [2, -(1 << 31) - 1]}),
]


def check_refused(server, client, folder):
    for task, line in REFUSED:
        source = folder / "refused.jsonl"
        write(source, [line])
        (answer,) = server.batch(task, [line], check=False)
        error = raised(dyad_serve.InvalidArgument, lambda: dyad_serve.Run(folder / "refused", client, task=task, input=source))
        assert answer["error"]["code"] == "INVALID_ARGUMENT", (line, answer)
        assert error.message == f"refused.jsonl: line 1: {answer['error']['message']}", (line, error.message, answer)
        assert not (folder / "refused").exists()
    write(source, [{"sentence_good": "a", "sentence_bad": "b", "margin": 1}])
    # What pairs replace, as an output may be the next input, a task refuses.
    error = raised(dyad_serve.InvalidArgument,
                   lambda: dyad_serve.Run(folder / "refused", client, task="blimp_supplement", input=source))
    refused = server.ctl("evaluate", "blimp_supplement", str(source), check=False)
    assert "has the key margin, which the answer has too" in error.message and "has the key margin" in refused.stderr, (error, refused)
    for options in ({"seed": 1.5}, {"stop": 7}, {"n": "2"}, {"details": True}, {"convention": "LM_EVAL"}):
        raised((TypeError, ValueError), lambda: dyad_serve.Run(folder / "refused", client, task="generate", input=source, options=options))


def check_mended_errors(folder):
    """Errors of a server that takes short texts are answers of another: in their places, by both programs."""
    lines = [{"text": f"The {noun} sleep. " + "word " * (50 if i in (1, 3, 5) else 0)} for i, noun in enumerate(NOUNS)]
    for suffix, task in ((".jsonl", "score"), (".jsonl", "surprisal"), (".csv", "surprisal")):
        source = folder / "mended.jsonl"
        write(source, lines)
        files = {who: folder / f"mended_{who}{suffix}" for who in ("python", "dyadctl", "asyncio")}
        for path in files.values():
            path.unlink(missing_ok=True)
            beside(path).unlink(missing_ok=True)
        with Server({"demo": DEMO}, "--max_prompt_bytes=128") as server, dyad_serve.Client(server.address) as client:
            for path in files.values():
                answers = list(dyad_serve.Run(path, client, task=task, input=source))
                assert sum("error" in answer for answer in answers) == 3, answers
        with Server({"demo": DEMO}) as server, dyad_serve.Client(server.address) as client:
            given = list(dyad_serve.Run(files["python"], client, task=task, input=source, retry_errors=True))
            assert given and not any("error" in answer for answer in given)
            server.ctl(task, "--input", str(source), "--output", str(files["dyadctl"]), "--retry_errors")
            asyncio.run(in_a_loop(server, files["asyncio"], task, source, {}, retry_errors=True))
            fresh = folder / f"fresh{suffix}"
            fresh.unlink(missing_ok=True)
            beside(fresh).unlink(missing_ok=True)
            server.ctl(task, "--input", str(source), "--output", str(fresh))
            for path in files.values():
                assert body(path) == body(fresh), path
                assert sorted(entry.name for entry in folder.glob(path.name + "*")) in (
                    [path.name], [path.name, beside(path).name])


async def in_a_loop(server, path, task, source, options, **more):
    async with dyad_serve.AsyncClient(server.address) as client:
        return [answer async for answer in dyad_serve.AsyncRun(path, client, task=task, options=options, input=source, **more)]


async def check_asyncio(server, case):
    """The same bytes; left in the middle, the file has what was given, and the next run goes on."""
    async with dyad_serve.AsyncClient(server.address) as client:
        def run():
            return dyad_serve.AsyncRun(case.later, client, task=case.task, options=case.options, input=case.source)

        raised(ValueError, lambda: run().header)
        async with run() as begun:
            assert begun.answers == 0 and begun.header["run"] == header_of(case.ours)["run"]
            iterating = begun.__aiter__()
            first = await iterating.__anext__()
            await iterating.aclose()
        assert dyad_serve.read_run(case.later).rows[0] == first
        async with run() as begun:
            rest = [answer async for answer in begun]
            assert len(rest) >= 1 and begun.answers == header_of(case.ours)["input"]["items"]
        assert body(case.later) == body(case.ours)
        other = dyad_serve.AsyncRun(case.later, client, task=case.task, options={**case.options, "special_tokens": "LITERAL"},
                                    input=case.source)
        try:
            await other.__aenter__()
        except dyad_serve.RunMismatch as error:
            assert error.field == "special_tokens" and error.now == "LITERAL"
        else:
            raise AssertionError("another run was gone on with")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with Server({"demo": DEMO}) as server, dyad_serve.Client(server.address) as client:
            for number in range(len(CASES)):
                case = Case(folder, number)
                check(server, client, case)
                if case.options.get("prefix") and case.task in ("comps", "pairs", "blimp", "blimp_supplement"):
                    compared = dyad_serve.compare(case.ours, case.theirs)
                    assert compared.pooled["items"] == len(NOUNS) - 1 and compared.left_out == 1, compared
                if case.task in ("pairs", "ewok") or case.ours.suffix == ".jsonl":
                    asyncio.run(check_asyncio(server, case))
            check_refused(server, client, folder)
        check_mended_errors(folder)
    print(f"python runs: {len(CASES)} tasks and formats have dyadctl's bytes, plain and by asyncio; errors are asked again")


if __name__ == "__main__":
    main()
