"""mypy --strict over the Python package, and over a script as a user writes it."""
import pathlib
import subprocess
import sys
import tempfile

from support.server import SOURCE

PACKAGE = SOURCE / "client" / "python"
# Right, and wrong in its last line alone.
SCRIPT = """
from dyad_serve import AsyncClient, Client, Pair, Run, RunComparison, RunMismatch, Score, compare, read_run

def main(client: Client) -> float:
    scores: list[Score] = client.score(["a"], context="b", top_n=3)
    pairs: list[Pair] = list(client.pairs([("a", "b")]))
    text: str = client.generate("a", max_new_tokens=3, stop=["b"]).text
    return scores[0].sum + pairs[0].margin + len(text)

def study(client: Client) -> RunComparison:
    try:
        answers: list[dict[str, object]] = list(Run("a.jsonl", client, task="pairs", input="pairs.jsonl", options={"limit": 3}))
    except RunMismatch as mismatch:
        field: str = mismatch.field
    number: int = len(read_run("a.jsonl").rows)
    return compare("a.jsonl", "b.jsonl")

async def wait(client: AsyncClient) -> list[int]:
    return [pair.index async for pair in client.pairs([("a", "b")])]

main(Client("127.0.0.1:50051")).upper()
"""


def mypy(folder, *arguments):
    return subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder / "cache"), "--config-file",
                           str(PACKAGE / "pyproject.toml"), *arguments], capture_output=True, text=True, cwd=folder)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        result = mypy(folder, str(PACKAGE / "dyad_serve"))
        assert result.returncode == 0, result.stdout + result.stderr
        print(f"mypy: {result.stdout.strip()}")
        (folder / "script.py").write_text(SCRIPT)
        result = mypy(folder, "script.py")
        errors = [line for line in result.stdout.splitlines() if ": error: " in line]
        assert len(errors) == 1 and 'has no attribute "upper"' in errors[0], result.stdout
    print("mypy: the package's types reach a script")


if __name__ == "__main__":
    main()
