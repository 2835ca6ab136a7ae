"""Results as short digests of their exact bits, and the file that keeps them.

A case is one request or a few; the file has a line for each, with a digest for each pair of weight and KV types.
Floats enter as their raw bytes, so one changed bit changes the digest.
"""
import hashlib
import json
import struct

# 64 bits.
DIGITS = 16


class Digest:
    """Collects values; `text()` is the case's digest."""

    def __init__(self):
        self._hash = hashlib.sha256()

    def floats(self, values):
        self._add("f", values)

    def doubles(self, *values):
        self._add("d", values)

    def integers(self, values):
        self._add("q", values)

    def string(self, value):
        data = value.encode()
        self.integers([len(data)])
        self._hash.update(data)

    def text(self):
        return self._hash.hexdigest()[:DIGITS]

    def _add(self, code, values):
        values = list(values)
        self._hash.update(struct.pack(f"<q{len(values)}{code}", len(values), *values))


def _top(digest, tokens):
    digest.integers(token.id for token in tokens)
    digest.floats(token.logprob for token in tokens)


def add_score(digest, score):
    """A TextScore. Positions that were not scored mean nothing, so they stay out."""
    scored = [position for position, flag in enumerate(score.scored) if flag]
    digest.integers(score.ids)
    digest.integers(score.scored)
    digest.floats(score.logprobs[position] for position in scored)
    digest.integers(score.greedy[position] for position in scored)
    digest.integers(score.ranks[position] for position in scored)
    if score.top:
        for position in scored:
            _top(digest, score.top[position].tokens)
    digest.doubles(score.sum, score.mean)


def add_words(digest, score):
    """The rest of a TextScore whose words were corrected."""
    add_score(digest, score)
    for span in [*score.words, *score.regions]:
        digest.integers([span.begin, span.end, span.first_token, span.tokens, span.shared_tokens])
        digest.doubles(*([span.logprob] if span.HasField("logprob") else []))
    digest.doubles(*score.boundary_logprobs)


def add_pair(digest, pair):
    """A PairScore that carries its tokens."""
    assert not pair.HasField("error"), pair.error.message
    digest.integers([pair.index, pair.tie, pair.correct, pair.first_difference])
    digest.doubles(pair.good_sum, pair.bad_sum, pair.good_mean, pair.bad_mean, pair.margin)
    add_score(digest, pair.good)
    add_score(digest, pair.bad)


def add_choices(digest, choices):
    """Choices in the order of their index."""
    for choice in choices:
        digest.integers([choice.index, choice.finish_reason])
        digest.integers(choice.ids)
        digest.string(choice.text)
        digest.integers(entry.id for entry in choice.logprobs)
        digest.floats(entry.logprob for entry in choice.logprobs)
        for entry in choice.logprobs:
            _top(digest, entry.top)


def differences(recorded, found):
    """{section: {case: {types: digest}}} twice; returns a message for every digest that is not the same."""
    messages = []
    for section, cases in found.items():
        expected = recorded.get(section, {})
        for case in sorted(cases.keys() | expected.keys()):
            now, before = cases.get(case, {}), expected.get(case, {})
            messages += [f"{section}: {case}: {types}: recorded {before.get(types)}, found {now.get(types)}"
                         for types in sorted(now.keys() | before.keys()) if now.get(types) != before.get(types)]
    return messages


def read(path, columns_of):
    """A line holds a case's digests in the order of `columns_of(section)`, pairs of types."""
    if not path.exists():
        return {}
    return {section: {case: dict(zip(columns_of(section), line.split(), strict=True)) for case, line in cases.items()}
            for section, cases in json.loads(path.read_text()).items()}


def write(path, columns_of, sections):
    lines = {section: {case: " ".join(digests[types] for types in columns_of(section))
                       for case, digests in cases.items()} for section, cases in sections.items()}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(lines, indent=0, sort_keys=True) + "\n")
