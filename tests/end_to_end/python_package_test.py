#!/usr/bin/env python3
"""The Python package against a real server: installed off-line from the clone, its numbers are those of gRPC bit for
bit and of dyadctl; keys; the scripts of client/examples."""
import asyncio
import contextlib
import itertools
import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import grpc

from support import minicons_cases
from support.raised import raised
from support.server import BUILD, DEMO, SOURCE, Server  # BUILD puts the generated stubs on the path
from dyad.v1 import generation_pb2, generation_pb2_grpc, scoring_pb2, scoring_pb2_grpc

PACKAGE = SOURCE / "client" / "python"
sys.path.insert(0, str(PACKAGE))
import dyad_serve  # noqa: E402
from dyad_serve.minicons import Scorer  # noqa: E402

EXAMPLES = SOURCE / "client" / "examples"
PAIRS = SOURCE / "deploy" / "minimal_pairs.jsonl"
TEXTS = ["The cats sleep.", "A bird sang in the tree.", "Zoë, naïve — 日本 🙂!"] * 50
KEY = "a-key-of-sixteen-characters-or-more"


def check_scores(server, client):
    """150 texts in three requests, against one request by generated stubs."""
    with grpc.insecure_channel(server.address) as channel:
        stub = scoring_pb2_grpc.ScoringServiceStub(channel)
        for convention in ("LM_EVAL", "BABYLM", "MINICONS_MEAN", "CONDITIONAL"):
            expected = stub.Score(scoring_pb2.ScoreRequest(
                items=[scoring_pb2.ScoreItem(text=text) for text in TEXTS], top_n=3,
                convention=scoring_pb2.Convention.Value("CONVENTION_" + convention))).scores
            found = client.score(TEXTS, convention=convention, top_n=3)
            assert len(found) == len(expected) == len(TEXTS)
            for score, wanted in zip(found, expected):
                check_score(score, wanted)
                assert score.convention == convention
        wanted = stub.Score(scoring_pb2.ScoreRequest(items=[
            scoring_pb2.ScoreItem(text="cats", context_text="Two "),
            scoring_pb2.ScoreItem(ids={"ids": [7, 8]}, context_ids={"ids": [2, 5]})])).scores
        check_score(client.score(["cats"], context="Two ")[0], wanted[0])
        check_score(client.score([[7, 8]], context=[[2, 5]])[0], wanted[1])


def check_score(score, wanted):
    assert (score.sum, score.mean, score.scored_tokens) == (wanted.sum, wanted.mean, wanted.scored_tokens)
    assert [token.id for token in score.tokens] == list(wanted.ids)
    for i, token in enumerate(score.tokens):
        if not wanted.scored[i]:
            assert (token.logprob, token.rank, token.greedy, token.top) == (None, None, None, ())
            continue
        assert (token.logprob, token.rank, token.greedy) == (wanted.logprobs[i], wanted.ranks[i], wanted.greedy[i])
        if wanted.top:
            assert [(top.id, top.logprob) for top in token.top] == [(top.id, top.logprob) for top in wanted.top[i].tokens]


def check_words(client):
    """Words by the published formulas in float64, from the tokens' own log-probabilities and the boundaries'; one
    boundary against the scores of every id of the vocabulary."""
    vocabulary = json.loads((DEMO / "tokenizer.json").read_text())["model"]["vocab"]
    begins = {id_ for entry, id_ in vocabulary.items() if entry.startswith("Ġ")}
    text = "The cats' naïve 日本 bird sang, and left."
    for correction, convention in itertools.product(("OH_SCHULER", "PIMENTEL_MEISTER"), ("LM_EVAL", "BABYLM")):
        [score] = client.score([text], convention=convention, words="PUNCTUATION", correction=correction)
        ids, masses = [token.id for token in score.tokens], score.boundary_logprobs
        assert len(masses) == len(ids) + 1 and masses[0] == 0 and max(masses[1:]) < 0
        assert [word.text for word in score.words] == [
            "The", "cats'", "naïve", "日本", "bird", "sang", ",", "and", "left", "."]
        for index, word in enumerate(score.words):
            assert text[word.begin:word.end] == word.text
            assert word.tokens == 0 or word.first_token > 0
            end = word.first_token + word.tokens
            expected = math.fsum(token.logprob for token in score.tokens[word.first_token:end]) + masses[end]
            is_first = index == 0 and correction == "PIMENTEL_MEISTER"
            if ids[word.first_token] in begins or is_first:
                expected -= masses[word.first_token]
            assert abs(word.logprob - expected) <= 1e-9, (word, expected)
        if convention == "BABYLM":
            # In front of the last word, and of the first: what all ids are worth together.
            for place in (1, score.words[-2].first_token):
                wanted = begins | {2} if correction == "PIMENTEL_MEISTER" else begins
                if place == 1 and correction == "PIMENTEL_MEISTER":
                    wanted = set(range(len(vocabulary))) - begins
                scores = client.score([[id_] for id_ in sorted(wanted)], context=[ids[:place]] * len(wanted))
                mass = math.log(math.fsum(math.exp(one.sum) for one in scores))
                assert abs(mass - masses[place]) <= 1e-6, (correction, place, mass, masses[place])
    for unit, factor in (("bits", -1 / math.log(2)), ("nats", -1), ("logprob", 1)):
        [row] = client.surprisal(["cats sleep"], by="region", regions=[[(5, 10)]], unit=unit)
        [score] = client.score(["cats sleep"], words="WHITESPACE")
        assert (row["region"], row["tokens"]) == ("sleep", score.words[1].tokens)
        assert abs(row["surprisal"] - score.words[1].logprob * factor) <= 1e-12
    [part] = client.score(["The cats sleep."], scored=[(4, 8)])
    [whole] = client.score(["The cats sleep."])
    assert part.scored_tokens == 1 and part.sum == next(t for t in whole.tokens if t.text == " cats").logprob
    error = raised(dyad_serve.InvalidArgument, lambda: client.score(["日本"], regions=[[(0, 3)]]))
    assert error.fields.keys() == {"items[0].regions[0]"} and "has 6" in error.message, error


def check_windows(client):
    """A long text in windows: each token's score is the one that it has in its window alone."""
    text = "The cats sleep in the old house. " * 60
    [score] = client.score([text], convention="BABYLM", window=(101, 100))
    ids = [token.id for token in score.tokens]
    assert len(ids) > 400 and score.scored_tokens == len(ids) - 1
    for begin in (0, 100, 200):
        [alone] = client.score([ids[begin:begin + 101]])
        assert [t.logprob for t in alone.tokens[1:]] == [t.logprob for t in score.tokens[begin + 1:begin + 101]]
    assert client.score([text * 3], window=True)[0].scored_tokens > 1000
    assert "512" in raised(dyad_serve.InvalidArgument, lambda: client.score([text * 3])).message


def check_choices(client):
    """As the options' own scores; a bad one is a result."""
    given = [["cats", "cat"], ("Two", ["cat", "cats", "dog"]), {"options": ["a", "a"], "context": "x"}, ["alone"]]
    found = list(client.choices(given))
    sums = [score.sum for score in client.score(["cat", "cats", "dog"], context="Two")]
    assert found[1].sums == tuple(sums) and found[1].best == max(range(3), key=sums.__getitem__)
    assert (found[2].best, found[2].tie, found[2].error) == (0, True, None) and not found[1].tie
    assert "options is 1 long" in found[3].error and found[0].scored_tokens[0] >= 1
    assert [one.index for one in client.choices(given * 100, window=7)] == list(range(400))


def check_pairs(server, client):
    """As dyadctl's, in order, whatever the window; a bad pair is a result."""
    lines = [json.loads(line) for line in PAIRS.read_text().splitlines()]
    answers = [json.loads(line) for line in server.ctl("pairs", "--input", str(PAIRS), "--json").stdout.splitlines()]
    for window in (1, 7, 512):
        found = list(client.pairs(lines * 3, window=window))
        assert [pair.index for pair in found] == list(range(3 * len(lines)))
        for pair, answer in zip(found, answers * 3, strict=True):
            for name in ("good_sum", "bad_sum", "good_mean", "bad_mean", "margin", "tie", "correct", "first_difference",
                         "good_scored_tokens", "bad_scored_tokens"):
                assert getattr(pair, name) == answer[name], (name, pair, answer)
    bad, good = client.pairs([("word " * 600, "a"), ("dogs", "dog", "Two")])
    assert "512" in bad.error and good.error is None, (bad, good)
    assert good.good_sum == client.score(["dogs"], context="Two")[0].sum


def check_window(client):
    """The input is read no further than the window."""
    read = 0

    def endless():
        nonlocal read
        while True:
            read += 1
            yield "The cats sleep.", "The cats sleeps."

    results = client.pairs(endless(), window=20)
    for handed_out in range(1, 100):
        assert next(results).correct is not None
        assert read <= handed_out - 1 + 20, (read, handed_out)
    results.close()


def check_generate(server, client):
    with grpc.insecure_channel(server.address) as channel:
        stub = generation_pb2_grpc.GenerationServiceStub(channel)
        options = dict(max_new_tokens=12, temperature=0.8, seed=5, n=2, logprobs=2)
        wanted = stub.Generate(generation_pb2.GenerateRequest(text="Once upon a time", **options))
    found = client.generate("Once upon a time", **options)
    assert [choice.text for choice in found.choices] == [choice.text for choice in wanted.choices]
    assert [[token.logprob for token in choice.tokens] for choice in found.choices] == [
        [token.logprob for token in choice.logprobs] for choice in wanted.choices]
    assert (found.seed, found.text, found.choices[0].finish_reason) == (5, wanted.choices[0].text, "LENGTH")
    stream = client.stream("Once upon a time", max_new_tokens=12, temperature=0.8, seed=5)
    assert "".join(piece.text for piece in stream) == client.generate(
        "Once upon a time", max_new_tokens=12, temperature=0.8, seed=5).text
    assert stream.final.usage.generated_tokens == 12
    stopped = client.generate("Once upon a time", max_new_tokens=12, stop=[" the"])
    assert stopped.choices[0].finish_reason == "STOP" and stopped.choices[0].stop_reason == " the", stopped
    ids = client.tokenize("Zoë sang.")
    assert client.detokenize(ids, skip_special_tokens=True) == "Zoë sang."
    model = client.get_model()
    for answer in (found, client.score(["a"])[0]):
        assert (answer.model, answer.model_digest, answer.arithmetic) == (model.name, model.digest, "exact"), answer
    assert client.ready() and client.models() == [model] and model.context_length == 512 and model.prefix_id == 2
    assert client.server_info().limits["max_score_items"] == 1024


def check_errors(server, client):
    """All wrong fields at once; the item's number is the caller's."""
    error = raised(dyad_serve.InvalidArgument, lambda: client.generate("x", temperature=-1, top_p=3))
    assert error.fields.keys() == {"temperature", "top_p"}, error
    limit = time.monotonic() + 60  # the line comes after the answer
    while error.request_id not in server.output():
        assert time.monotonic() < limit, error.request_id
        time.sleep(0.01)
    error = raised(dyad_serve.InvalidArgument, lambda: client.score(["a b"] * 100 + ["word " * 600]))
    assert "items[100]" in error.message and list(error.fields) == ["items[100].text"], error
    with dyad_serve.Client(server.address, model="none") as other:
        assert "demo" in raised(dyad_serve.NotFound, other.get_model).message
    raised(TypeError, lambda: client.generate("x", max_tokens=3))
    raised(ValueError, lambda: client.score(["x"], convention="LMEVAL"))


async def check_async(server, client):
    async with dyad_serve.AsyncClient(server.address) as other:
        assert await other.score(TEXTS) == client.score(TEXTS)
        lines = [json.loads(line) for line in PAIRS.read_text().splitlines()]
        for window in (1, 512):
            assert [pair async for pair in other.pairs(lines, window=window)] == list(client.pairs(lines))
        words = dict(words="WHITESPACE", correction="OH_SCHULER", window=True)
        assert await other.score(TEXTS[:3], **words) == client.score(TEXTS[:3], **words)
        choices = [["cats", "cat", "dog"]] * 20
        assert [choice async for choice in other.choices(choices, window=3)] == list(client.choices(choices))
        assert list(await other.surprisal(["a b"])) == list(client.surprisal(["a b"])) != []
        text = "".join([piece.text async for piece in other.stream("Once upon a time", max_new_tokens=12)])
        assert text == client.generate("Once upon a time", max_new_tokens=12).text
        assert await other.models() == client.models() and await other.ready()
        assert list(await other.surprisal(["a b"], by="token")) == list(client.surprisal(["a b"], by="token"))
        try:
            await other.score(["a b"] * 100 + ["word " * 600])
        except dyad_serve.InvalidArgument as error:
            assert "items[100]" in error.message
        else:
            raise AssertionError("an empty text was scored")


def check_tables(client):
    """Bits are minus log2 p; what notebooks show is escaped."""
    score = client.score(["<script>a</script>"])[0]
    table = client.surprisal(["<script>a</script>"], by="token")
    assert len(table) == len(score.tokens) and table[0]["surprisal"] is None
    for row, token in list(zip(table, score.tokens))[1:]:
        assert abs(2.0 ** -row["surprisal"] - 2.718281828459045 ** token.logprob) < 1e-12
    shown = dyad_serve.Table([{"<b>": "<script>", "x": 1.5}])._repr_html_()
    assert "<script>" not in shown and "&lt;script&gt;" in shown and "<b>" not in shown
    assert "<table>" in score._repr_html_()
    with contextlib.suppress(ImportError):
        import pandas  # noqa: F401
        assert list(score.frame().columns) == ["token", "id", "logprob", "rank", "greedy"]
        return
    assert "pip install" in str(raised(ImportError, score.frame))


def check_readme(client):
    """Each line of README's table that calls the client runs as it stands; frame() where there is pandas."""
    names = dict(client=client, texts=TEXTS[:2], good="The cats sleep.", bad="The cats sleeps.", context="Then",
                 json=json, open=lambda _: PAIRS.open(), print=lambda *_, **__: None)
    rows = re.findall(r"^\| .+? \| (.+) \|$", (PACKAGE / "README.md").read_text(), re.MULTILINE)
    lines = [line for row in rows for line in re.findall(r"`([^`]+)`", row) if re.search(r"(^|in )client\.", line)]
    assert len(lines) >= 15, lines
    for line in lines:
        try:
            exec(line, dict(names))
        except ImportError as error:
            assert "pandas" in str(error), line


def check_minicons(client):
    """One script, for minicons and for ours: the answers that record_minicons.py wrote down, in shape and value."""
    recorded = json.loads((SOURCE / "tests" / "fixtures" / "minicons.json").read_text())["answers"]
    scorer = Scorer(client)
    found = minicons_cases.answers(scorer)
    assert found.keys() == recorded.keys()
    for name, answer in recorded.items():
        check_alike(found[name], answer, name)
    for refused in (scorer.distribution, scorer.next_word_distribution, scorer.query, scorer.topk):
        raised(NotImplementedError, lambda: refused("a b"))
    raised(AssertionError, lambda: scorer.token_score("a b", prob=True, base_two=True))


def check_alike(found, recorded, name):
    if isinstance(recorded, list):
        assert isinstance(found, list) and len(found) == len(recorded), (name, found, recorded)
        for pair in zip(found, recorded):
            check_alike(*pair, name)
    elif isinstance(recorded, float):
        assert abs(found - recorded) < 2e-5, (name, found, recorded)
    else:
        assert found == recorded, (name, found, recorded)


def check_keys(folder):
    keys = folder / "keys"
    keys.write_text(KEY + "\n")
    with Server({"demo": DEMO}, "--kv_cache_bytes=16777216", f"--api_key_file={keys}") as server:
        for key in (None, KEY[:-1]):
            with dyad_serve.Client(server.address, api_key=key) as client:
                raised(dyad_serve.Unauthenticated, client.models)
        with dyad_serve.Client(server.address, api_key=KEY) as client:
            assert client.models()[0].name == "demo"
            assert len(list(client.pairs([("a", "b")]))) == 1


def install(folder):
    """As README.md says, in a fresh environment without any registry. The interpreter that has the package."""
    venv = folder / "venv"
    commands = ([sys.executable, "-m", "venv", "--system-site-packages", str(venv)],
                [venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index",
                 "--no-build-isolation", str(PACKAGE)])
    for command in commands:
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
    [schema] = venv.rglob("dyad_serve/run.schema.json")
    assert schema.read_bytes() == (SOURCE / "client" / "schema" / "run.schema.json").read_bytes()
    return venv / "bin" / "python"


def check_examples(server, client, python, folder):
    def run(script, *arguments, **options):
        result = subprocess.run([python, EXAMPLES / script, *arguments, server.address], capture_output=True, text=True,
                                cwd=folder, **options)
        assert result.returncode == 0, result.stderr
        return result.stdout

    assert run("generate.py", "Once upon a time") == client.generate("Once upon a time", max_new_tokens=32).text
    rows = [row.split("\t") for row in run("score.py", input="\n".join(TEXTS[:3])).splitlines()]
    assert [(float(row[0]), row[2]) for row in rows] == [
        (score.sum, text) for score, text in zip(client.score(TEXTS[:3]), TEXTS)]
    answers = [json.loads(line) for line in server.ctl("pairs", "--input", str(PAIRS), "--json").stdout.splitlines()]
    rows = run("pairs.py", str(PAIRS)).splitlines()
    assert [float(row.split("\t")[1]) for row in rows] == [answer["margin"] for answer in answers]


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        python = install(folder)
        with Server({"demo": DEMO}, "--kv_cache_bytes=67108864") as server, dyad_serve.Client(server.address) as client:
            check_scores(server, client)
            check_pairs(server, client)
            check_words(client)
            check_windows(client)
            check_choices(client)
            check_window(client)
            check_generate(server, client)
            check_errors(server, client)
            asyncio.run(check_async(server, client))
            check_tables(client)
            check_minicons(client)
            check_readme(client)
            check_examples(server, client, python, folder)
        check_keys(folder)
    print(f"python package: bits are gRPC's, {BUILD.name}; installed off-line; examples run")


if __name__ == "__main__":
    main()
