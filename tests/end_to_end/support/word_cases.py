"""Texts and models on which scores of words were recorded (record_words.py) and are compared (recorded_words_test.py)."""
import json
import re
import shutil

from support.server import BUILD, DEMO

TEXTS = ["The old cats didn't sleep in the house.", "A bird sang, and the tall green tree fell; nobody's here!",
         "Once upon a time there was a naïve king.", "Then the two tall trees told the tale that they trust.",
         "The toads took the tea to the town; they talked!"]
PREFIXES, STIMULI = ["The old man", "Once upon"], ["walked home.", "a time there was"]
FIXTURES = {"opt": "opt-dyad-it4", "gpt_neox": "neox-dense"}


def words(text):
    return re.findall(r"[\w']+|[^\s\w]+", text)


def minicons_answers(scorer, bos):
    """{case: answer as JSON has it}, with bow_correction; bos where the tokenizer puts nothing in front by itself."""
    how = {"bow_correction": True, "bos_token": bos}
    return json.loads(json.dumps({
        "words": scorer.word_score_tokenized(TEXTS, words, surprisal=True, **how),
        "words in bits": scorer.word_score_tokenized(TEXTS, str.split, surprisal=True, base_two=True, **how),
        "words after a prefix": scorer.conditional_word_score_tokenized(PREFIXES, STIMULI, words, **how),
        "tokens": scorer.token_score(TEXTS, **how),
        "tokens with ranks": scorer.token_score(TEXTS[0], rank=True, surprisal=True, **how),
        "probability": scorer.word_score_tokenized(TEXTS[0], words, prob=True, **how),
        "mean": scorer.sequence_score(TEXTS, **how),
        "after a prefix": scorer.conditional_score(PREFIXES, STIMULI, **how),
    }))


def has_lone_blank(tokens):
    """Whether a token is a blank alone. To us it belongs to no word; to wordsprobability to the next one, and wt_decoding
    cannot read it back: such texts are not compared."""
    return "Ġ" in tokens


def models(folder):
    """{architecture or "demo": a model's folder}. The fixtures have no tokenizer; they get one of as many tokens as
    they know: the demonstration model's, with the letters and the first merges alone."""
    found = {"demo": DEMO}
    for architecture, name in FIXTURES.items():
        target = folder / f"{architecture}-fixture"
        shutil.copytree(BUILD / "fixtures" / name, target, ignore=shutil.ignore_patterns("expected*"))
        config = json.loads((target / "config.json").read_text())
        (target / "tokenizer.json").write_text(json.dumps(small_tokenizer(config["vocab_size"], config["eos_token_id"],
                                                                          architecture == "opt")))
        found[architecture] = target
    return found


def small_tokenizer(size, end, has_frame):
    """Of `size` tokens; `end` is the id of </s>, which stands in front of a text if it has a frame. The last is <pad>."""
    tokenizer = json.loads((DEMO / "tokenizer.json").read_text())
    model = tokenizer["model"]
    letters = [token for token in model["vocab"] if len(token) == 1]
    names = letters[:]
    merges = []
    for pair in model["merges"]:
        if len(names) + 2 == size:
            break
        names.append("".join(pair))
        merges.append(pair)
    names.insert(end, "</s>")
    names.append("<pad>")
    model["vocab"] = {name: id_ for id_, name in enumerate(names)}
    model["merges"] = merges
    tokenizer["added_tokens"] = [{**token, "id": model["vocab"][token["content"]]} for token in tokenizer["added_tokens"]
                                 if token["content"] in ("</s>", "<pad>")]
    frame = tokenizer["post_processor"]
    frame["special_tokens"]["</s>"]["ids"] = [end]
    if not has_frame:
        tokenizer["post_processor"] = tokenizer["decoder"]
    return tokenizer
