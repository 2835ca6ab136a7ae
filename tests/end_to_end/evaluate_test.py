#!/usr/bin/env python3
"""dyadctl evaluate against a real server: small files of every task. Plain Python in float64 reads them as BabyLM's
pipeline does, sums the log-probabilities that `score` gives by its phrase mask, decides, and computes accuracies,
macro means, intervals and correlations again."""
import csv
import gzip
import json
import math
import pathlib
import random
import subprocess
import tempfile

from support.bootstrap import bootstrap
from support.server import BUILD, DEMO, Server

WORDS = "the a cat dog old man boat sleeps ran saw house red small and they he she was naïve café".split()


def phrase(rng, length):
    return " ".join(rng.choice(WORDS) for _ in range(length))


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
    for name, uid in (("passive_1", "passive_1"), ("other", "wh_island")):
        write("blimp", name, [{"sentence_good": phrase(rng, 4) + ".", "sentence_bad": phrase(rng, 4) + ".", "field": "syntax",
                               "linguistics_term": "island_effects", "UID": uid, "pairID": str(i)} for i in range(7)])
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


def babylm_item(task, line, stem):
    """(sentences, completions, UID) as the pipeline's readers make them."""
    if task.startswith("blimp"):
        pair = [line["sentence_good"], line["sentence_bad"]]
        return pair, pair, line["UID"] if "field" in line else stem
    if task == "ewok":
        targets = [line["Target1"], line["Target2"]]
        return [" ".join([line["Context1"], t]) for t in targets], [" " + t for t in targets], line["Domain"]
    if task == "comps":
        subset = {"comps_base": "base", "comps_wugs": "wugs", "comps_wugs_dist-before": "wugs_dist_before"}
        return ([" ".join([line[f"prefix_{kind}"], line["property_phrase"]]) for kind in ("acceptable", "unacceptable")],
                [line["property_phrase"]] * 2, subset.get(stem, "wugs_dist_in_between"))
    if task.startswith("wug"):
        forms = line["sentences"].split("\t")
        return forms, forms, task
    return ([line["input_prefix"] + option for option in line["options"]], list(line["options"]),
            f"{stem}_{line['numops']}_ops")


def babylm_macro(task, accuracies):
    """Of {UID: percent}: the mean, of entity_tracking over the splits' means."""
    if task != "entity_tracking":
        return sum(accuracies.values()) / len(accuracies)
    splits = [[value for uid, value in accuracies.items() if uid.startswith(split)]
              for split in ("regular", "ambiref", "move_contents")]
    means = [sum(split) / len(split) for split in splits if split]
    return sum(means) / len(means)


def texts_of(task, variant, line):
    """(whole text, compared phrase) of each option; of BabyLM's tasks see babylm_item."""
    if variant == "paper":
        return [(f"{line[c]} {line[t]}", line[t]) for c, t in (("Context1", "Target1"), ("Context2", "Target1"),
                                                              ("Context2", "Target2"), ("Context1", "Target2"))]
    if task == "choices":
        return [(line["context"] + option, option) for option in line["options"]]
    sentences, completions, _ = babylm_item(task, line, line["file"])
    return list(zip(sentences, completions, strict=True))


def babylm_sum(server, sentence, completion):
    """The pipeline's phrase mask: the log-probabilities of tokens that end behind the phrase's first character."""
    answer = json.loads(server.ctl("score", "--convention=BABYLM", "--json", "--details", "--text", sentence).stdout)
    raw = sentence.encode()
    ends = [len(raw[:end].decode(errors="ignore")) for end in [*answer["byte_offsets"][1:], len(raw)]]
    first = len(sentence) - len(completion)
    return math.fsum(p for p, end in zip(answer["logprobs"], ends, strict=True) if p is not None and end > first)


def decided(sums):
    """The first of the largest; None where two are too near for sums in another order."""
    best, second = sorted(sums, reverse=True)[:2]
    return None if best - second < 1e-5 else sums.index(best)


def check(server, folder, task, variant):
    output = folder / f"{task}-{variant}.out"
    flags = [f"--variant={variant}"] if variant else []
    predictions = [] if task == "choices" or variant == "paper" else [f"--predictions={folder / 'results'}"]
    summary = json.loads(server.ctl("evaluate", task, str(folder / task), f"--output={output}", "--json", *flags,
                                    *predictions).stdout)
    header, *answers = map(json.loads, output.read_text().splitlines())
    assert header["dyad_run"]["task"] == ({"name": task, "variant": variant} if variant else {"name": task}), header
    assert header["dyad_run"]["convention"] == "BABYLM"
    rows = {}
    for line in answers:
        sums = [babylm_sum(server, *texts) for texts in texts_of(task, variant, line)]
        if variant != "paper":
            assert decided(sums) in (None, line["best"]), (line, sums)
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
    if predictions:
        check_predictions(folder / "results" / task / task / "predictions.json", task, answers, summary)
    again = server.ctl("evaluate", task, str(folder / task), f"--output={output}", "--json", *flags)
    assert json.loads(again.stdout) == summary and "were in the output already" in again.stderr, again
    verified = server.ctl("verify", str(output))
    assert f"{len(answers)} of {len(answers)} answers asked for again, all with the same bits" in verified.stdout, verified


def check_predictions(path, task, answers, summary):
    """The file is the pipeline's, and what it scores from it is our score."""
    expected, right, ratios = {}, {}, []
    for line in answers:
        stem = line.get("file", line.get("UID"))
        sentences, completions, uid = babylm_item(task, line, stem)
        best = line["best"] if "best" in line else int(not line["correct"])
        rows = expected.setdefault(uid, {"predictions": []})["predictions"]
        rows.append({"id": f"{uid}_{len(rows)}", "pred": (sentences if task == "comps" else completions)[best]})
        if task.startswith("wug"):
            rows[-1]["prob"] = line["p_first"]
            ratios.append((line["p_first"], float(line["ratio"])))
        right.setdefault(uid, []).append(best == 0)
    assert json.loads(path.read_text()) == expected, (path, expected)
    if ratios:
        assert near(summary["spearman"], spearman(*zip(*ratios, strict=True))), summary
        return
    accuracies = {uid: 100.0 * sum(flags) / len(flags) for uid, flags in right.items()}
    macro = summary["macro"].get("score", summary["macro"].get("accuracy"))
    assert near(100 * macro, babylm_macro(task, accuracies)), (task, summary)


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
    summary = json.loads(server.ctl("evaluate", "blimp_supplement", path, f"--output={output}", "--json",
                                    f"--predictions={folder / 'results'}").stdout)
    header, *answers = map(json.loads, output.read_text().splitlines())
    assert header["dyad_run"]["task"] == {"name": "blimp_supplement"} and summary["convention"] == "BABYLM", summary
    rows = {}
    for line in answers:
        assert line["correct"] == (line["good_sum"] >= line["bad_sum"])
        assert decided([babylm_sum(server, line[key], line[key]) for key in ("sentence_good", "sentence_bad")]) in (
            None, int(not line["correct"])), line
        rows.setdefault(line["UID"], []).append(float(line["correct"]))
    assert set(rows) == {"hypernym", "qa_congruence_easy"}
    check_predictions(folder / "results" / "blimp" / "blimp_supplement" / "predictions.json", "blimp_supplement", answers,
                      summary)
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


def check_blimp(server, folder):
    """Lines of BLiMP, with their field and UID; and with a file name that is another."""
    output = folder / "blimp.out"
    summary = json.loads(server.ctl("evaluate", "blimp", str(folder / "blimp"), f"--output={output}", "--json",
                                    f"--predictions={folder / 'results'}").stdout)
    answers = [json.loads(line) for line in output.read_text().splitlines()[1:]]
    for line in answers:
        sums = [babylm_sum(server, line[key], line[key]) for key in ("sentence_good", "sentence_bad")]
        assert decided(sums) in (None, int(not line["correct"])), (line, sums)
        assert near(line["margin"], line["good_sum"] - line["bad_sum"])
    check_predictions(folder / "results" / "blimp" / "blimp" / "predictions.json", "blimp", answers, summary)


def check_reading(server, folder):
    """-ln p(word | item) by the chain rule over the word's own tokens, after the item as the tokenizer encodes it."""
    rng = random.Random(6)
    rows = []
    for i in range(12):
        words = phrase(rng, 5).split()
        at = rng.randrange(1, 5)
        rows.append({"item": " ".join(words[:at]), "word": " " + words[at] + ("ing, and" if i % 5 == 0 else ""),
                     "prev_item": " ".join(words[:at - 1]), "prev_word": " " + words[at - 1], "RTfirstfix": f"{i},5"})
    rows[3]["item"], rows[4]["word"] = "None", "cat"  # the text None, and a word without its blank
    path, output = folder / "reading_data.csv", folder / "reading.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    server.ctl("evaluate", "reading", str(path), f"--output={output}", f"--predictions={folder / 'results'}")
    with output.open(newline="") as file:
        found = list(csv.DictReader(file))

    def surprisal(item, word):
        ids = {}
        for name, text, flag in (("item", item, "true"), ("word", word, "false")):
            line = server.ctl("tokenize", "--json", f"--add_special_tokens={flag}", "--text", text).stdout
            ids[name] = json.loads(line)["ids"]
        source = folder / "ids.jsonl"
        source.write_text(json.dumps({"ids": ids["word"], "context_ids": ids["item"]}) + "\n")
        logprobs = json.loads(server.ctl("score", f"--input={source}").stdout)["logprobs"]
        return -math.fsum(logprobs[-len(ids["word"]):])

    predictions = json.loads((folder / "results" / "reading" / "predictions.json").read_text())["reading"]["predictions"]
    for i, (row, answer, prediction) in enumerate(zip(rows, found, predictions, strict=True)):
        assert {key: answer[key] for key in row} == row and answer["index"] == str(i), answer
        assert math.isclose(float(answer["pred"]), surprisal(row["item"], row["word"]), rel_tol=1e-6), answer
        assert (answer["prev_pred"] == "") == (row["prev_item"] == ""), answer
        if row["prev_item"]:
            previous = surprisal(row["prev_item"], row["prev_word"])
            assert math.isclose(float(answer["prev_pred"]), previous, rel_tol=1e-6), answer
        assert prediction == {"id": i, "pred": float(answer["pred"]),
                              "prev_pred": float(answer["prev_pred"]) if answer["prev_pred"] else None}, prediction
    assert "all with the same bits" in server.ctl("verify", str(output)).stdout


def check_formats(server, folder):
    """The same choices as lines, as an array, as CSV and TSV, compressed or not: the same sums."""
    lines = [json.loads(line) for line in (folder / "choices" / "all.jsonl").read_text().splitlines()]
    (folder / "all.json").write_text(json.dumps(lines, indent=1))
    for name, separator in (("all.csv", ","), ("all.tsv", "\t")):
        with (folder / name).open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.writer(file, delimiter=separator, lineterminator="\r\n")
            writer.writerow(["before", "options", "label", "group"])
            for line in lines:
                writer.writerow([line["context"], json.dumps(line["options"]), line["label"], line["group"]])
    (folder / "packed.csv").write_bytes(gzip.compress((folder / "all.csv").read_bytes()))  # told by its bytes
    (folder / "all.text").write_bytes((folder / "all.csv").read_bytes())
    columns, answers = "--columns=context=before", {}
    for name, flags in (("choices/all.jsonl", []), ("all.json", []), ("all.csv", [columns]), ("all.tsv", [columns]),
                        ("packed.csv", [columns]), ("all.text", [columns, "--format=csv"])):
        output = folder / f"{name.replace('/', '-')}.out"
        server.ctl("evaluate", "choices", str(folder / name), f"--output={output}", *flags)
        answers[name] = [{key: line[key] for key in ("context", "options", "label", "group", "sums", "best", "score")}
                         for line in map(json.loads, output.read_text().splitlines()[1:])]
        assert answers[name] == answers["choices/all.jsonl"], name
        assert "all with the same bits" in server.ctl("verify", str(output)).stdout


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
        check_blimp(server, folder)
        check_reading(server, folder)
        check_formats(server, folder)
        check_compare(server, folder)
        check_refusals(server, folder)
    print("evaluate: every task's scores, intervals and correlations are those of plain Python")


if __name__ == "__main__":
    main()
