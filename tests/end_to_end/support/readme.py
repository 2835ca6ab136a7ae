"""What README.md tells people to type."""
import re

from support.server import SOURCE

README = (SOURCE / "README.md").read_text()


def table(head):
    """{first cell: code of the second one} of the table with this head, such as "I use"."""
    lines = iter(README.splitlines())
    for line in lines:
        if line.startswith(f"| {head} | I type |"):
            break
    next(lines)
    rows = {}
    for line in lines:
        if not line.startswith("|"):
            break
        first, second = re.fullmatch(r"\| (.*?) \| (.*) \|", line).groups()
        rows[first] = re.findall("`([^`]+)`", second)
    return rows


def block(heading):
    """The lines of the first block of code below a heading, without what stands behind #."""
    text = README.split(f"\n## {heading}\n", 1)[1]
    return [re.sub(r"\s+#.*", "", line) for line in re.search(r"```sh\n(.*?)```", text, re.S).group(1).splitlines()]
