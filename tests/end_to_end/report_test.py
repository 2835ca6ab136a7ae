#!/usr/bin/env python3
"""dyadctl report on real runs of the demonstration model: one well-formed page that asks for nothing, with the numbers
that `evaluate --json` and `compare --json` print, whatever stands in the texts."""
import html.parser
import json
import pathlib
import re
import subprocess
import tempfile

from support.server import BUILD, DEMO, SOURCE, Server

EVIL = '<script>alert("1")</script><img src=x onerror=y>'
RTL = "שלום \u202e abc"
LONG = "the cat " * 1250
VOID = {"meta", "br"}


def local(*words):
    """What dyadctl prints without a server."""
    return subprocess.run([BUILD / "bin" / "dyadctl", *map(str, words)], capture_output=True, text=True, check=True).stdout


class Page(html.parser.HTMLParser):
    """Checks nesting; keeps tags, attributes, and the text of each table's cells."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.tables, self.text = [], set(), set(), [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        self.text.append(data)
        if self.open and ("td" in self.open or "th" in self.open):
            self.tables[-1][-1][-1] += data

    def rows(self, first):
        """The cells of every row, in any table, whose first cell is this."""
        return [row for table in self.tables for row in table if row and row[0] == first]


def check_page(text):
    page = Page(text)
    allowed = {"html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "section", "p", "figure", "figcaption",
               "div", "span", "svg", "g", "line", "path", "circle", "rect", "text", "table", "caption", "thead", "tbody", "tr",
               "th", "td", "bdi", "code", "small", "br", "ul", "li"}
    assert page.tags <= allowed, page.tags - allowed
    assert not {name for name in page.attributes if name.startswith("on")} and not {"src", "href"} & page.attributes
    assert "default-src 'none'; style-src 'unsafe-inline'" in text
    style = re.search("<style>(.*?)</style>", text, re.S).group(1)
    assert "url(" not in style and "@import" not in style and style.count("{") == style.count("}")
    return page


def check_two_runs(server, folder):
    lines = [json.loads(line) for line in (SOURCE / "deploy" / "minimal_pairs.jsonl").read_text().splitlines()]
    for i, line in enumerate(lines):
        line["UID"] = f"{line['phenomenon']}_{i % 2}"
    for text in (EVIL, RTL, LONG):
        lines.append({"sentence_good": "The cats sleep.", "sentence_bad": "The cats sleeps." + text, "UID": text[:40],
                      "linguistics_term": "agreement"})
    source = folder / "pairs.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    people = folder / "people.csv"
    people.write_text(f"source,task,row,accuracy,n\npeople,blimp,{lines[0]['UID']},0.95,20\n")
    summaries, outputs = [], []
    for convention in ("BABYLM", "MINICONS_MEAN"):
        outputs.append(folder / f"{convention}.jsonl")
        run = server.ctl("evaluate", "blimp", str(source), f"--output={outputs[-1]}", f"--convention={convention}", "--json",
                         check=False)
        summaries.append(json.loads(run.stdout))
    page_file = folder / "r.html"
    local("report", *outputs, f"--output={page_file}", f"--baselines={people}")
    text = page_file.read_text()
    page = check_page(text)
    words = "".join(page.text)
    for summary in summaries:
        assert f"{summary['macro']['accuracy']:.4f} (95 % interval {summary['macro']['low']:.4f} to " in words, summary
    for uid, row in summaries[0]["paradigms"].items():
        cells = [cells for cells in page.rows(uid) if cells[1:3] == [row["phenomenon"], "1"]]
        assert len(cells) == 1 and cells[0][3:7] == [str(row["pairs"]), str(row["ties"]), f"{row['accuracy']:.4f}",
                                                     f"{row['low']:.4f} to {row['high']:.4f}"], (uid, cells, row)
    compared = json.loads(local("compare", *outputs, "--json"))
    for uid, row in compared["rows"].items():
        assert [f"{row['difference']:+.4f}", f"{row['p']:.4f}" if row["p"] >= 0.0001 else "< 0.0001"] in [[c[4], c[8]] for c in page.rows(uid) if len(c) == 10], uid
    assert "people 0.9500" in words and outputs[0].name in words
    for header in (json.loads(path.open().readline())["dyad_run"] for path in outputs):
        assert header["run"] in words and header["model"]["digest"] in words and header["input"]["sha256"] in words
    assert "BABYLM, as BabyLM's pipeline: " in words and "MINICONS_MEAN, as minicons: " in words
    if summaries[0]["failed"]:
        assert "failed with" in words


def check_words(server, folder):
    source = folder / "words.csv"
    source.write_text(f'n,text\n1,The cat sleeps on the mat.\n2,"{EVIL.replace(chr(34), chr(34) * 2)}"\n3,{RTL}\n')
    for name in ("words.out.csv", "words.out.jsonl"):
        output, page_file = folder / name, folder / f"{name}.html"
        server.ctl("surprisal", f"--input={source}", f"--output={output}")
        local("report", output, f"--output={page_file}")
        page = check_page(page_file.read_text())
        words = "".join(page.text)
        assert "sleeps" in words and "<img" in words and "שלום" in words, words[-2000:]
        assert "of 3 sentences" in words


def main():
    with tempfile.TemporaryDirectory() as name, Server({"demo": DEMO}) as server:
        folder = pathlib.Path(name)
        check_two_runs(server, folder)
        check_words(server, folder)
    print("report: pages are well formed, ask for nothing, and have the numbers of evaluate and compare")


if __name__ == "__main__":
    main()
