#!/usr/bin/env python3
"""dyadctl evaluate against a real server: small files of every task, whose scores, intervals and correlations plain
Python computes again, from sums that `score` gives for the same texts."""
import json
import math
import pathlib
import random
import subprocess
import tempfile

from support.server import BUILD, DEMO, Server

WORDS = "the a cat dog old man boat sleeps ran saw house red small and they he she was".split()


def phrase(rng, length):
    return " ".join(rng.choice(WORDS) for _ in range(length))


def philox(counter, key):
    counter, key = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [b >> 32 ^ counter[1] ^ key[0], b & 0xFFFFFFFF, a >> 32 ^ counter[3] ^ key[1], a & 0xFFFFFFFF]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return counter


def bootstrap(strata, draws=10_000):
    """strata: (scores, weight)"""
    means = []
    for draw in range(draws):
        total = 0.0
        for r, (scores, weight) in enumerate(strata):
            scores = sorted(scores)
            words = [word for i in range(0, len(scores), 4) for word in philox((i // 4, r, draw, 0), (0, 0))]
            total += weight * (sum(scores[words[k] * len(scores) >> 32] for k in range(len(scores))) / len(scores))
        means.append(total)
    means.sort()
    return means[draws // 40], means[draws - 1 - draws // 40]


def wilson(p, n, z=1.959963984540054):
    centre, divisor = p + z * z / (2 * n), 1 + z * z / n
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, (centre - half) / divisor), min(1.0, (centre + half) / divisor)


def ranks(values):
    return [sum(v < value for v in values) + (sum(v == value for v in values) + 1) / 2 for value in values]


def spearman(x, y):
    a, b = ranks(x), ranks(y)
    a, b = [v - sum(a) / len(a) for v in a], [v - sum(b) / len(b) for v in b]
    return sum(map(lambda p, q: p * q, a, b)) / math.sqrt(sum(v * v for v in a) * sum(v * v for v in b))


def near(a, b):
    return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)


def make_corpora(folder):
    """{task: folder}, with real shapes: as published files have them, other words."""
    rng = random.Random(5)

    def write(task, name, lines):
        path = folder / task / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    for name in ("hypernym", "qa_congruence_easy"):
        write("blimp_supplement", name, [{"sentence_good": phrase(rng, 4) + ".", "sentence_bad": phrase(rng, 4) + "."}
                                         for _ in range(7)])
    for domain in ("social-relations", "spatial-relations"):
        write("ewok", domain, [{"ItemID": i, "Domain": domain, "ContextType": "direct", "ContextDiff": "negation",
                                "TargetDiff": "concept swap", "Context1": phrase(rng, 4) + ".", "Context2": phrase(rng, 4) + ".",
                                "Target1": phrase(rng, 3) + ".", "Target2": phrase(rng, 3) + "."} for i in range(6)])
    for name in ("comps_base", "comps_wugs_dist-before"):
        write("comps", name, [{"id": i, "property": "p", "prefix_acceptable": "A " + phrase(rng, 2),
                               "prefix_unacceptable": "A " + phrase(rng, 2), "property_phrase": phrase(rng, 3) + "."}
                              for i in range(5)])
    for name in ("regular", "move_contents"):
        write("entity_tracking", name, [{"input_prefix": "Box 0 contains " + phrase(rng, 3) + ". Box 0 contains", "numops": i % 3,
                                         "options": [f" {phrase(rng, 2)}." for _ in range(5)]} for i in range(8)])
    for task in ("wug_adj", "wug_past"):
        write(task, "data", [{"sentences": f"{phrase(rng, 3)}\t{phrase(rng, 3)}", "ratio": i % 4 / 4} for i in range(9)])
    write("choices", "all", [{"context": "Two " + phrase(rng, 1), "options": [f" {w}" for w in rng.sample(WORDS, 4)],
                              "label": i % 4, "group": "xyz"[i % 3]} for i in range(12)])


def options_of(task, variant, line):
    """(context or None, phrase) of each option"""
    if task == "ewok" and variant == "paper":
        return [(line[c], " " + line[t]) for c, t in (("Context1", "Target1"), ("Context2", "Target1"),
                                                      ("Context2", "Target2"), ("Context1", "Target2"))]
    if task == "ewok":
        return [(line["Context1"], " " + line["Target1"]), (line["Context1"], " " + line["Target2"])]
    if task == "comps":
        return [(line[f"prefix_{kind}"], " " + line["property_phrase"]) for kind in ("acceptable", "unacceptable")]
    if task.startswith("wug"):
        return [(None, form) for form in line["sentences"].split("\t")]
    return [(line["input_prefix" if task == "entity_tracking" else "context"], option) for option in line["options"]]


def babylm_sum(server, context, text):
    """From the log-probabilities of all tokens by BABYLM: those that overlap the phrase."""
    whole = (context or "") + text
    begin = len(context or "") + (len(text) - len(text.lstrip(" ")) if context else 0)
    answer = json.loads(server.ctl("score", "--convention=BABYLM", "--json", "--details", "--text", whole).stdout)
    ends = [*answer["byte_offsets"][1:], len(whole)]
    return math.fsum(p for p, end in zip(answer["logprobs"], ends) if p is not None and end > begin)


def check(server, folder, task, variant):
    output = folder / f"{task}-{variant}.out"
    flags = [f"--variant={variant}"] if variant else []
    summary = json.loads(server.ctl("evaluate", task, str(folder / task), f"--output={output}", "--json", *flags).stdout)
    header, *answers = map(json.loads, output.read_text().splitlines())
    assert header["dyad_run"]["task"] == ({"name": task, "variant": variant} if variant else {"name": task}), header
    assert header["dyad_run"]["convention"] == "BABYLM"
    rows = {}
    for line in answers:
        sums = [babylm_sum(server, *option) for option in options_of(task, variant, line)]
        assert all(math.isclose(a, b, rel_tol=1e-6) for a, b in zip(line["sums"], sums, strict=True)), (line, sums)
        sums = line["sums"]
        if task.startswith("wug"):
            assert near(line["p_first"], math.exp(sums[0]) / (math.exp(sums[0]) + math.exp(sums[1]))), line
            continue
        if variant == "paper":
            score = ((sums[0] >= sums[1]) + (sums[2] >= sums[3])) / 2
        else:
            assert line["best"] == sums.index(max(sums)), line
            score = float(line["best"] == line.get("label", 0))
        row = {"ewok": line.get("Domain"), "choices": line.get("group"), "comps": line["file"][6:].replace("-", "_"),
               "entity_tracking": f"{line['file']}_{line.get('numops')}_ops"}[task]
        assert (line["row"], line["score"]) == (row, score), line
        rows.setdefault(row, []).append(score)
    if task.startswith("wug"):
        assert near(summary["spearman"], spearman([a["p_first"] for a in answers], [a["ratio"] for a in answers])), summary
    else:
        check_summary(summary, rows, (lambda row: row.rsplit("_", 2)[0]) if task == "entity_tracking" else lambda row: row)
    again = server.ctl("evaluate", task, str(folder / task), f"--output={output}", "--json", *flags)
    assert json.loads(again.stdout) == summary and "were in the output already" in again.stderr, again
    verified = server.ctl("verify", str(output))
    assert f"{len(answers)} of {len(answers)} answers asked for again, all with the same bits" in verified.stdout, verified


def check_summary(summary, rows, group_of):
    groups = {}
    for row in rows:
        groups.setdefault(group_of(row), []).append(row)
    strata = [(scores, 1 / (len(groups) * len(groups[group_of(row)]))) for row, scores in sorted(rows.items())]
    assert list(summary["rows"]) == sorted(rows)
    for row, scores in rows.items():
        found = summary["rows"][row]
        low, high = wilson(sum(scores) / len(scores), len(scores))
        assert found["items"] == len(scores) and near(found["score"], sum(scores) / len(scores)), (row, found)
        assert near(found["low"], low) and near(found["high"], high), (row, found)
    macro = sum(weight * sum(scores) / len(scores) for scores, weight in strata)
    low, high = bootstrap(strata)
    found = summary["macro"]
    assert near(found["score"], macro) and near(found["low"], low) and near(found["high"], high), (found, low, high)


def check_supplement(server, folder):
    """Of pairs: rows are files; `blimp` is `evaluate blimp` by LM_EVAL."""
    path, output = str(folder / "blimp_supplement"), folder / "supplement.out"
    summary = json.loads(server.ctl("evaluate", "blimp_supplement", path, f"--output={output}", "--json").stdout)
    header, *answers = map(json.loads, output.read_text().splitlines())
    assert header["dyad_run"]["task"] == {"name": "blimp_supplement"} and summary["convention"] == "BABYLM", summary
    rows = {}
    for line in answers:
        assert line["correct"] == (line["good_sum"] >= line["bad_sum"])
        rows.setdefault(line["UID"], []).append(float(line["correct"]))
    assert set(rows) == {"hypernym", "qa_congruence_easy"}
    low, high = bootstrap([(scores, 1 / len(rows)) for _, scores in sorted(rows.items())])
    assert near(summary["macro"]["low"], low) and near(summary["macro"]["high"], high), summary
    assert "all with the same bits" in server.ctl("verify", str(output)).stdout
    short, long = folder / "short.out", folder / "long.out"
    server.ctl("blimp", path, f"--output={short}")
    server.ctl("evaluate", "blimp", path, f"--output={long}", "--convention=LM_EVAL")
    assert short.read_bytes().split(b"\n", 1)[1] == long.read_bytes().split(b"\n", 1)[1]


def check_compare(server, folder):
    """Two conventions over the same choices: differences, intervals and p as Python has them."""
    outputs = []
    for convention in ("BABYLM", "MINICONS_MEAN"):
        outputs.append(folder / f"choices-{convention}.out")
        server.ctl("evaluate", "choices", str(folder / "choices"), f"--output={outputs[-1]}", f"--convention={convention}")
    run = subprocess.run([BUILD / "bin" / "dyadctl", "compare", *outputs, "--json"], capture_output=True, text=True, check=True)
    found = json.loads(run.stdout)
    a, b = ([json.loads(line) for line in path.read_text().splitlines()[1:]] for path in outputs)
    rows = {}
    for one, two in zip(a, b, strict=True):
        rows.setdefault(one["row"], []).append((one["score"], two["score"]))
    assert list(found["rows"]) == sorted(rows)
    ps = []
    for row, pairs in sorted(rows.items()):
        differences = [q - p for p, q in pairs]
        low, high = bootstrap([(differences, 1.0)])
        fewer, n = min(sum(d < 0 for d in differences), sum(d > 0 for d in differences)), sum(d != 0 for d in differences)
        ps.append(min(1.0, 2 * sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n))
        one = found["rows"][row]
        assert near(one["difference"], sum(differences) / len(differences)) and near(one["p"], ps[-1]), (row, one)
        assert near(one["low"], low) and near(one["high"], high), (row, one)
    adjusted, most = {}, 0.0
    for i, (p, row) in enumerate(sorted(zip(ps, sorted(rows)))):
        most = max(most, (len(ps) - i) * p)
        adjusted[row] = min(1.0, most)
    assert all(near(found["rows"][row]["p_holm"], p) for row, p in adjusted.items()), (found, adjusted)
    assert len(found.get("changes", [])) == sum(p != q for pairs in rows.values() for p, q in pairs)


def check_refusals(server, folder):
    bad = folder / "bad.jsonl"
    bad.write_text('{"options": ["a", "b"]}\n\n{"option": 1}\n')
    run = server.ctl("evaluate", "choices", str(bad), check=False)
    assert run.returncode == 1 and "bad.jsonl: line 3: lacks the key options" in run.stderr, run
    for words in (["evaluate"], ["evaluate", "choices"], ["evaluate", "glue", "x"], ["evaluate", "ewok", "x", "--variant=y"]):
        assert server.ctl(*words, check=False).returncode == 2, words


def main():
    with tempfile.TemporaryDirectory() as name, Server({"demo": DEMO}) as server:
        folder = pathlib.Path(name)
        make_corpora(folder)
        for task, variant in (("ewok", "babylm"), ("ewok", "paper"), ("comps", ""), ("entity_tracking", ""), ("wug_adj", ""),
                              ("wug_past", ""), ("choices", "")):
            check(server, folder, task, variant)
        check_supplement(server, folder)
        check_compare(server, folder)
        check_refusals(server, folder)
    print("evaluate: every task's scores, intervals and correlations are those of plain Python")


if __name__ == "__main__":
    main()
