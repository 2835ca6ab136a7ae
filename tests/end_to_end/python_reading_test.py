#!/usr/bin/env python3
"""BabyLM's regressions of the Python package, on outputs of reading by dyadctl and by Run: R², coefficient and t are those of
least squares in exact fractions; a regression that is not determined is refused."""
import csv
import fractions
import itertools
import math
import pathlib
import random
import sys
import tempfile

from support.raised import raised
from support.server import DEMO, SOURCE, Server

sys.path.insert(0, str(SOURCE / "client" / "python"))
import dyad_serve  # noqa: E402
from dyad_serve import _regression  # noqa: E402


def solve(matrix, right):
    """Gauss, in fractions."""
    rows = [[*row, value] for row, value in zip(matrix, right)]
    for i in range(len(rows)):
        pivot = next(k for k in range(i, len(rows)) if rows[k][i] != 0)
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for k in range(len(rows)):
            if k != i:
                rows[k] = [a - rows[k][i] * b for a, b in zip(rows[k], rows[i])]
    return [row[-1] for row in rows]


def least_squares(columns, y):
    """(R², coefficients, standard error of the last) by the normal equations."""
    columns, y = [[fractions.Fraction(value) for value in column] for column in columns], [fractions.Fraction(value) for value in y]
    normal = [[sum(a * b for a, b in zip(one, other)) for other in columns] for one in columns]
    found = solve(normal, [sum(a * b for a, b in zip(column, y)) for column in columns])
    residuals = [value - sum(c * column[i] for c, column in zip(found, columns)) for i, value in enumerate(y)]
    left, mean = sum(value * value for value in residuals), sum(y) / len(y)
    last = solve(normal, [fractions.Fraction(i == len(columns) - 1) for i in range(len(columns))])[-1]
    error = math.sqrt(left / (len(y) - len(columns)) * last)
    return float(1 - left / sum((value - mean) ** 2 for value in y)), found, error


def check_regression(one, rows, outcome, baseline):
    rows = [row for row in rows if all(row[name] not in (None, "", "NA") for name in (outcome, "pred", *baseline))]
    y, x, *plain = ([float(row[name]) for row in rows] for name in (outcome, "pred", *baseline))
    columns = [[1.0] * len(y), *plain, *([fractions.Fraction(a) * fractions.Fraction(b) for a, b in zip(*two)]
                                         for two in itertools.combinations(plain, 2))]
    before, _, _ = least_squares(columns, y)
    after, coefficients, error = least_squares([*columns, x], y)
    expected = (len(rows), before, after, (after - before) / (1 - before), float(coefficients[-1]), float(coefficients[-1]) / error)
    got = (one["items"], one["r2_baseline"], one["r2"], one["share"], one["coefficient"], one["t"])
    assert all(math.isclose(a, b, rel_tol=1e-7, abs_tol=1e-9) for a, b in zip(got, expected)), (outcome, got, expected)
    assert one["r2"] > one["r2_baseline"] and one["share"] > 0, one


def check_scores(server, folder):
    dice = random.Random(1)
    source = folder / "reading_data.csv"
    words = " the old men and naïve children saw a tall green tree by the river, again".split()
    names = ["item", "word", "prev_item", "prev_word", "length", "prev_length", "context_length", "Subtlex_log10", "RTfirstfix",
             "RTgopast", "self_paced_reading_time", "mine"]
    with open(source, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(names)
        for i in range(40):
            at = 1 + i % (len(words) - 1)
            item, word = " ".join(words[:at]), f" {words[at]}"
            times = [f"{200 + 10 * dice.random() + 3 * len(word):.3f}" for _ in range(3)]
            table.writerow([item, word, " ".join(words[:at - 1]), f" {words[at - 1]}", len(word), len(words[at - 1]) + dice.randrange(3),
                            at, f"{dice.random() * 5:.4f}", *(["NA"] if i == 7 else times[:1]), *times[1:], i])
    for prefix, name in (("", "reading.csv"), ("x_", "reading.jsonl")):
        output = folder / name
        if name.endswith("csv"):
            server.ctl("evaluate", "reading", str(source), f"--output={output}")
        else:
            with dyad_serve.Client(server.address) as client:
                list(dyad_serve.Run(output, client, task="reading", input=source, options={"prefix": prefix}))
        scores = dyad_serve.reading_scores(output)
        rows = [{key.removeprefix(prefix): value for key, value in row.items()} for row in dyad_serve.read_run(output).rows]
        for one in scores.rows:
            check_regression(one, rows, one["outcome"], _regression.SPILLOVER if one["spillover"] else _regression.BASELINE)
        assert [(one["spillover"], one["outcome"]) for one in scores.rows] == [
            (spills, outcome) for spills in (False, True) for outcome in ("RTfirstfix", "RTgopast", "self_paced_reading_time")]
        assert scores.rows[0]["items"] == 39 and scores.rows[3]["items"] < 39, scores.rows  # the first word has none before it
        assert scores.eye_tracking == 50 * (scores.rows[0]["share"] + scores.rows[1]["share"])
        assert scores.self_paced_reading == 100 * scores.rows[5]["share"] and "RTgopast" in scores._repr_html_()


def check_refusals():
    dice = random.Random(2)
    rows = [{"y": dice.random(), "a": dice.random(), "pred": dice.random()} for _ in range(9)]
    assert dyad_serve.regression(rows, "y", ["a"]).items == 9
    for changed, what in (([{**row, "y": 1} for row in rows], "the same in all rows"), (rows[:3], "4 are needed"), ([], "0 rows"),
                          ([{**row, "pred": 3 - row["a"]} for row in rows], "pred says nothing"),
                          ([{**row, "a": 2} for row in rows], "column 1 of the baseline")):
        assert what in str(raised(ValueError, lambda: dyad_serve.regression(changed, "y", ["a"]))), what


def main():
    check_refusals()
    with tempfile.TemporaryDirectory() as name, Server({"demo": DEMO}) as server:
        check_scores(server, pathlib.Path(name))
    print("reading: BabyLM's regressions are those of exact least squares")


if __name__ == "__main__":
    main()
