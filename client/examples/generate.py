#!/usr/bin/env python3
"""Streams a continuation of a text from a DYAD server. Stubs: see README.md in this folder."""
import argparse

import grpc

from dyad.v1 import generation_pb2, generation_pb2_grpc


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text")
    parser.add_argument("--server", default="127.0.0.1:50051")
    parser.add_argument("--model", default="", help="empty: the server's only model")
    parser.add_argument("--max_new_tokens", type=int, default=32)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--seed", type=int, help="same seed, same text (default: drawn)")
    arguments = parser.parse_args()

    request = generation_pb2.GenerateRequest(
        model=arguments.model, text=arguments.text, max_new_tokens=arguments.max_new_tokens,
        temperature=arguments.temperature, seed=arguments.seed)
    with grpc.insecure_channel(arguments.server) as channel:
        service = generation_pb2_grpc.GenerationServiceStub(channel)
        print(arguments.text, end="", flush=True)
        for message in service.GenerateStream(generation_pb2.GenerateStreamRequest(request=request), timeout=60):
            if message.HasField("final"):
                usage = message.final.usage
                print(f"\n[{usage.generated_tokens} tokens, seed {message.final.seed}]")
            else:
                print(message.choice.text, end="", flush=True)


if __name__ == "__main__":
    main()
