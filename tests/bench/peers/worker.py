"""What a peer's program is: it loads a model, then answers each line of standard input, a task, with the seconds that
the task took.

  prefill TOKENS              one text; its last token's logits
  decode SEQUENCES STORED     a step of SEQUENCES texts side by side, the mean of STEPS behind STORED tokens
"""
import random
import sys
import time

STEPS = 32
VOCABULARY = 50304
DRAW = random.Random(1)


def prompts(count, tokens):
    """New ones each time: a peer may keep what it computed for earlier ones."""
    return [[DRAW.randrange(100, VOCABULARY - 100) for _ in range(tokens)] for _ in range(count)]


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def serve(generate):
    """generate(prompts, new_tokens): draws greedily, past any end of text."""
    print("ready", flush=True)
    for line in sys.stdin:
        task, *sizes = line.split()
        sizes = [int(size) for size in sizes]
        if task == "prefill":
            texts = prompts(1, sizes[0])
            seconds = timed(lambda: generate(texts, 1))
        else:
            first, whole = prompts(*sizes), prompts(*sizes)
            seconds = -timed(lambda: generate(first, 1))
            seconds = (seconds + timed(lambda: generate(whole, 1 + STEPS))) / STEPS
        print(seconds, flush=True)
