"""What the recorded bits are of: requests to generate, as plain data that never changes by itself."""

PROMPTS = (
    "Once upon a time there was a little",
    "The old king said to his daughter",
    "In the middle of the night the wind",
    "She opened the door and",
    "It was",
    "The fox looked at the bird, and the bird looked at the fox. Then",
    "\"Where are you going?\" asked the boy.",
    "A",
    "Far away, beyond the river and the mountain, three brothers lived in a house made of",
    "He ran, and ran, and ran, and ran, and",
)

# Every setting is drawn with 10 seeds: 200 draws. Where `n` is above 1, several choices are drawn.
SAMPLED = {
    "temperature 1": dict(temperature=1),
    "temperature 0.8": dict(temperature=0.8),
    "temperature 0.2": dict(temperature=0.2),
    "temperature 3": dict(temperature=3),
    "top_k 1": dict(temperature=1, top_k=1),
    "top_k 50": dict(temperature=0.8, top_k=50),
    "top_k above the vocabulary": dict(temperature=0.9, top_k=100000),
    "top_p 0.95": dict(temperature=0.8, top_p=0.95),
    "top_p 0.1": dict(temperature=1.2, top_p=0.1),
    "min_p 0.05": dict(temperature=1, min_p=0.05),
    "top_k 50, top_p 0.95": dict(temperature=0.8, top_k=50, top_p=0.95),
    "top_k 20, top_p 0.9, min_p 0.02": dict(temperature=1.1, top_k=20, top_p=0.9, min_p=0.02),
    "repetition penalty": dict(temperature=0.8, repetition_penalty=1.3),
    "presence and frequency penalties": dict(temperature=0.9, presence_penalty=0.7, frequency_penalty=0.4),
    "negative penalties": dict(temperature=0.7, presence_penalty=-0.5, frequency_penalty=-0.25),
    "bias": dict(temperature=0.9, logit_bias={5: 4.5, 262: -100, 300: 3.25, 4000: 2}),
    "everything": dict(temperature=0.85, top_k=40, top_p=0.9, min_p=0.01, repetition_penalty=1.1,
                       presence_penalty=0.2, frequency_penalty=0.1, logit_bias={11: 1.5, 280: -2}),
    "three choices": dict(temperature=0.9, n=3),
    "four choices, top_p 0.9": dict(temperature=1, top_p=0.9, n=4),
    "stop string, echo": dict(temperature=0.8, stop=["the"], echo=True),
}
SEEDS = 10

# Temperature 0: the likeliest token after penalties and bias, each with 4 prompts.
ADJUSTED = {
    "plain": {},
    "repetition penalty 1.3": dict(repetition_penalty=1.3),
    "repetition penalty 0.8": dict(repetition_penalty=0.8),
    "presence penalty": dict(presence_penalty=1.5),
    "frequency penalty": dict(frequency_penalty=0.75),
    "negative penalties": dict(presence_penalty=-1, frequency_penalty=-0.5),
    "all penalties": dict(repetition_penalty=1.2, presence_penalty=0.5, frequency_penalty=0.5),
    "bias": dict(logit_bias={5: 4.5, 262: -100, 300: 3.25, 4000: 2}),
    "ban of the end": dict(logit_bias={2: -100}),
    "bias and penalties": dict(repetition_penalty=1.1, frequency_penalty=0.3, logit_bias={11: 2.5, 280: -3}),
    "echo": dict(echo=True),
    "two choices": dict(n=2),
}


def sampled():
    """{case: fields of its GenerateRequest}"""
    cases = {}
    for number, (name, setting) in enumerate(SAMPLED.items()):
        for seed in range(SEEDS):
            # Seeds of every size, among them 0 and the largest.
            value = (0, 1, 2**32, 2**64 - 1)[seed] if seed < 4 else 1000 * number + 7919 * seed
            cases[f"{name}, seed {value}"] = dict(
                text=PROMPTS[(number + seed) % len(PROMPTS)], max_new_tokens=8 + seed, seed=value, logprobs=seed % 4,
                ignore_eos=seed % 2 == 0, **setting)
    return cases


def adjusted():
    return {f"{name}, prompt {i}": dict(text=PROMPTS[i], max_new_tokens=20, logprobs=2, seed=0, **setting)
            for name, setting in ADJUSTED.items() for i in range(4)}
