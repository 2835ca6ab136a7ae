#!/usr/bin/env python3
"""dyadctl surprisal against a real server: the rows are those of the Python package, bit by bit; without correction they
are sums of the tokens' log-probabilities, added here; tables of Python's csv module come back whole."""
import csv
import io
import json
import math
import pathlib
import subprocess
import sys
import tempfile

from support.server import BUILD, DEMO, SOURCE, Server

sys.path.insert(0, str(SOURCE / "client" / "python"))
import dyad_serve  # noqa: E402

TEXTS = ["The old man's boat, they said, was \u00e9norme.", "Two cats sleep.", "  blanks  in\u00a0front ", "one",
         "\u4e2d\u6587 and \U0001f600 too", 'a "quoted" text,\nwith a line break', "well -- now", "x" * 40]
COLUMNS = ["item", "word_index", "word", "begin", "end", "tokens", "surprisal", "unit", "correction", "run"]


def table(dialect, newline):
    """The texts as other programs write them, with a column in front and one behind."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, dialect=dialect, lineterminator=newline)
    writer.writerow(["id", "sentence", "note"])
    for i, one in enumerate(TEXTS):
        writer.writerow([f"i{i}", one, "" if i % 2 else 'n, "o"\tt'])
    return "\ufeff" + text.getvalue()


def read(path, dialect):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, dialect=dialect))


def value_of(cell):
    return None if cell == "" else float(cell)


def expected(client, **options):
    return list(client.surprisal(TEXTS, **options))


def check_tables(server, client, folder):
    for suffix, dialect, newline in (("csv", "excel", "\r\n"), ("tsv", "excel-tab", "\n")):
        source, output = folder / f"in.{suffix}", folder / f"out.{suffix}"
        source.write_text(table(dialect, newline), newline="", encoding="utf-8")
        for unit, correction, split in (("bits", "none", "whitespace"), ("nats", "oh_schuler", "punctuation"),
                                        ("logprob", "pimentel_meister", "whitespace")):
            output.unlink(missing_ok=True)
            pathlib.Path(f"{output}.run.json").unlink(missing_ok=True)
            server.ctl("surprisal", "--input", str(source), "--output", str(output), "--columns=text=sentence",
                       f"--unit={unit}", f"--correction={correction}", f"--split={split}")
            rows = read(output, dialect)
            right = expected(client, unit=unit, correction=correction, split=split)
            assert list(rows[0]) == ["id", "sentence", "note", *COLUMNS, "error"], rows[0]
            assert len(rows) == len(right) > 20
            header = json.loads(pathlib.Path(f"{output}.run.json").read_text())["dyad_run"]
            for row, one in zip(rows, right):
                item = int(row["item"])
                assert (row["id"], row["sentence"], row["note"]) == (f"i{item}", TEXTS[item],
                                                                     "" if item % 2 else 'n, "o"\tt'), row
                assert (row["word_index"], row["word"], row["begin"], row["end"], row["tokens"]) == (
                    str(one["word_index"]), one["word"], str(one["begin"]), str(one["end"]), str(one["tokens"])), row
                assert value_of(row["surprisal"]) == one["surprisal"], (row, one)
                assert (row["unit"], row["correction"], row["run"], row["error"]) == (unit, correction, header["run"], "")
            again = server.ctl("verify", str(output))
            assert f"{len(TEXTS)} of {len(TEXTS)} answers asked for again, all with the same bits" in again.stdout, again


def check_sums(server):
    """By hand, from the log-probabilities of tokens and where they stand; a character is a byte."""
    for text in filter(str.isascii, TEXTS):
        tokens = json.loads(server.ctl("score", "--json", "--details", "--text", text).stdout)
        rows = [json.loads(line) for line in server.ctl("surprisal", "--json", "--text", text).stdout.splitlines()]
        raw = (" " + text).encode()  # LM_EVAL puts a blank in front
        spans, sums, counts = [], [], []
        for word in text.split():
            begin = raw.index(word.encode(), spans[-1][1] if spans else 0)
            spans.append((begin, begin + len(word.encode())))
            sums.append(0.0)
            counts.append(0)
        ends = [*tokens["byte_offsets"][1:], len(raw)]
        for logprob, begin, end in list(zip(tokens["logprobs"], tokens["byte_offsets"], ends))[1:]:
            first = next((i for i in range(begin, end) if not raw[i:i + 1].isspace()), None)
            for k, (left, right) in enumerate(spans):
                if first is not None and left <= first < right:
                    sums[k] += logprob
                    counts[k] += 1
        for row, total, count in zip(rows, sums, counts, strict=True):
            assert row["tokens"] == count, (row, count)
            # logprobs are printed as short as floats can be
            assert count == 0 or math.isclose(row["surprisal"], -total / math.log(2), rel_tol=1e-6), (row, total)


def check_regions(server, client, folder):
    source, output = folder / "regions.jsonl", folder / "regions.out"
    lines = [{"s": "The old man slept.", "r": "4:11"}, {"s": "cats and cats", "r": [{"text": "cats", "nth": 2}, "0:4"]}]
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    server.ctl("surprisal", "--input", str(source), "--output", str(output), "--columns=text=s", "--regions=r")
    rows = [json.loads(line) for line in output.read_text().splitlines()[1:]]
    right = list(client.surprisal(["The old man slept.", "cats and cats"], by="region", regions=[[(4, 11)], [(9, 13), (0, 4)]]))
    assert len(rows) == 3
    for row, one in zip(rows, right):
        assert all(row[key] == one[key] for key in one), (row, one)
        assert row["shared_tokens"] == 0 and list(row)[:2] == ["s", "r"] and list(row)[-1] == "run", row


def check_killed(server, folder):
    source, whole, torn = folder / "many.csv", folder / "whole.csv", folder / "torn.csv"
    source.write_text("text\n" + "".join(f"The old man told story number {i}.\n" for i in range(400)))
    command = [BUILD / "bin" / "dyadctl", "surprisal", f"--server={server.address}", f"--input={source}", "--concurrency=2"]
    subprocess.run([*command, f"--output={whole}"], check=True, stderr=subprocess.DEVNULL)
    process = subprocess.Popen([*command, f"--output={torn}"], stderr=subprocess.DEVNULL)
    while not torn.exists() or torn.stat().st_size < 5000:
        assert process.poll() is None
    process.kill()
    process.wait()
    assert torn.stat().st_size < whole.stat().st_size
    result = subprocess.run([*command, f"--output={torn}"], capture_output=True, text=True)
    assert result.returncode == 0 and "were in the output already" in result.stderr, result
    assert torn.read_bytes() == whole.read_bytes()


def main():
    with tempfile.TemporaryDirectory() as name, Server({"demo": DEMO}) as server:
        folder = pathlib.Path(name)
        with dyad_serve.Client(server.address) as client:
            check_tables(server, client, folder)
            check_sums(server)
            check_regions(server, client, folder)
        check_killed(server, folder)
    print("surprisal: tables have the package's bits, and go on after a kill")


if __name__ == "__main__":
    main()
