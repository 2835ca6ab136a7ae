"""Python client of DYAD Serve: scores, minimal pairs and generated text over gRPC. Contract: README.md."""
from dyad_serve._channel import TLS
from dyad_serve._regression import ReadingScores, Regression, reading_scores, regression
from dyad_serve._run_header import RunMismatch
from dyad_serve.aio import AsyncClient
from dyad_serve.aio_run import AsyncRun
from dyad_serve.client import Client, Stream
from dyad_serve.comparison import RunComparison, compare
from dyad_serve.errors import (DeadlineExceeded, DyadError, InvalidArgument, NotFound, QueueFull, Unauthenticated,
                               Unavailable)
from dyad_serve.results import Choice, Generation, Model, Pair, Score, ServerInfo, Token, TopToken, Usage
from dyad_serve.run import Run, RunAnswers, read_run
from dyad_serve.table import Table

__version__ = "0.1.0"
__all__ = [
    "AsyncClient", "AsyncRun", "Choice", "Client", "DeadlineExceeded", "DyadError", "Generation", "InvalidArgument", "Model",
    "NotFound", "Pair", "QueueFull", "ReadingScores", "Regression", "Run", "RunAnswers", "RunComparison", "RunMismatch", "Score",
    "ServerInfo", "Stream", "TLS", "Table", "Token", "TopToken", "Unauthenticated", "Unavailable", "Usage", "compare",
    "read_run", "reading_scores", "regression",
]
