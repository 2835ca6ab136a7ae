"""A script as users of minicons write it: the same lines for its IncrementalLMScorer and for ours."""
import re

SENTENCES = ["The cats sleep.", "Zoë didn't see it — 日本!", "A bird sang in the tall green tree."]
PREFIXES = ["The old man", "Once upon", "Yesterday we saw that"]
STIMULI = ["walked home.", "a time there was", "nobody's here."]


def words(text):
    return re.findall(r"[\w']+|[^\s\w]+", text)


def letters(text):
    """Splits inside of what stands between blanks."""
    return re.findall(r"\w+|'\w+|[^\s\w]+", text)


def answers(scorer):
    """{case: answer as JSON has it}"""
    def listed(value):
        return [listed(part) for part in value] if isinstance(value, (list, tuple)) else value

    token, sequence, conditional = scorer.token_score, scorer.sequence_score, scorer.conditional_score
    cases = {
        "tokens": token(SENTENCES),
        "tokens of one": token(SENTENCES[0]),
        "tokens, surprisal, bits, rank": token(SENTENCES, surprisal=True, base_two=True, rank=True),
        "tokens, probability, decoded": token(SENTENCES, prob=True, decode=True),
        "tokens, BOS and EOS": token(SENTENCES, bos_token=True, eos_token=True),
        "mean": sequence(SENTENCES),
        "sum": sequence(SENTENCES, reduction=lambda x: x.sum(0).item()),
        "minus sum": sequence(SENTENCES, reduction=lambda x: -x.sum(0).item()),
        "sum in bits": sequence(SENTENCES, reduction=lambda x: x.sum().item(), base_two=True),
        "last two": sequence(SENTENCES, reduction=lambda x: x[-2:].tolist()),
        "exp of the mean, BOS": sequence(SENTENCES, reduction=lambda x: (-x).mean(0).exp().item(), bos_token=True),
        "conditional": conditional(PREFIXES, STIMULI),
        "conditional of one": conditional(PREFIXES[0], STIMULI[0]),
        "conditional, probabilities": conditional(PREFIXES, STIMULI, prob=True, reduction=lambda x: x.prod().item()),
        "conditional, separators": conditional(PREFIXES, STIMULI, separator=[", ", " ", ": "], bos_token=True),
        "stats": scorer.compute_stats(scorer.prime_text(PREFIXES, STIMULI), rank=True),
        "stats of a text": scorer.compute_stats(scorer.prepare_text(SENTENCES), base_two=True),
        "words": scorer.word_score_tokenized(SENTENCES, words),
        "words, surprisal": scorer.word_score_tokenized(SENTENCES, letters, surprisal=True, base_two=True),
        "words, probability": scorer.word_score_tokenized(SENTENCES[0], words, prob=True, bos_token=True, eos_token=True),
        "words after a prefix": scorer.conditional_word_score_tokenized(PREFIXES, STIMULI, words),
        "words after a prefix, bits": scorer.conditional_word_score_tokenized(PREFIXES, STIMULI, letters, base_two=True),
    }
    return {name: listed(answer) for name, answer in cases.items()}
