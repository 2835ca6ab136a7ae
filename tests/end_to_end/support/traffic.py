"""Random work for a server: sentences to score, and generation streams that come, go and are cancelled."""
import random
import threading

import grpc
from support.server import BUILD  # noqa: F401  (puts the generated stubs on the path)
from dyad.v1 import common_pb2, generation_pb2, generation_pb2_grpc

WORDS = """the a one every no cat dog girl boy teacher river mountain child king fox bird house tree old little
happy angry green tall that which who has had have is are was were will would can could see sees saw like likes
liked find finds found give gives gave walked running sleeps and or but because when while under over near with
from to of in on at by quickly never always often yesterday tomorrow there it they she he himself themselves""".split()


def sentence(rng):
    words = [rng.choice(WORDS) for _ in range(rng.randint(1, 40))]
    return " ".join(words).capitalize() + rng.choice([".", "?", "!", ""])


class Streams:
    """`count` threads that keep one GenerateStream call each in flight, cancelling some half-way."""

    def __init__(self, address, count, seed, cancel_share=0.3, max_tokens=60):
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.finished = self.cancelled = self.tokens = 0
        self.errors = []
        self.cancel_share, self.max_tokens = cancel_share, max_tokens
        self.channel = grpc.insecure_channel(address)
        self.threads = [threading.Thread(target=self._run, args=(random.Random(seed + i),))
                        for i in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        self.channel.close()

    def _run(self, rng):
        stub = generation_pb2_grpc.GenerationServiceStub(self.channel)
        while not self.stop.is_set():
            request = generation_pb2.GenerateRequest(
                ids=common_pb2.TokenIds(ids=[rng.randrange(3, 2000) for _ in range(rng.randint(1, 90))]),
                max_new_tokens=rng.randint(1, self.max_tokens), temperature=rng.choice([0, 0.8]),
                seed=rng.getrandbits(40), n=rng.choice([1, 1, 1, 3]), ignore_eos=rng.random() < 0.5)
            cancel_after = rng.randint(0, 20) if rng.random() < self.cancel_share else None
            call = stub.GenerateStream(generation_pb2.GenerateStreamRequest(request=request))
            try:
                tokens, final = 0, False
                for count, piece in enumerate(call):
                    tokens += len(piece.choice.ids)
                    final = final or piece.HasField("final")
                    if cancel_after is not None and count >= cancel_after:
                        call.cancel()
                        break
                else:
                    if not final:
                        raise RuntimeError("a stream ended without its final message")
                with self.lock:
                    self.tokens += tokens
                    if final:
                        self.finished += 1
                    else:
                        self.cancelled += 1
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.CANCELLED:
                    with self.lock:
                        self.cancelled += 1
                else:
                    with self.lock:
                        self.errors.append(f"{error.code()}: {error.details()}")
            except RuntimeError as error:
                with self.lock:
                    self.errors.append(str(error))
