"""The names of all that is measured, as the report shows them and the goals find them."""

HTTP = "aiohttp + pydantic, a request"
GRPC = "grpc.aio, a hop, both ends"
STATEMENT = "a CTE insert and its commit"
BATCHED_ROW = "a signature check, a batched row"
# Their sum is what a proof would cost if there were nothing but these between a beacon and its answer.
CHAIN = (HTTP, GRPC, STATEMENT, BATCHED_ROW)
CHECKS_COUNT = 300
CHECKS = f"{CHECKS_COUNT} signature checks, one by one"
BASELINE = "baseline A: a naive single proof"

SINGLE = "a proof by itself"
WIDE = "the same, 256 connections"
BATCH = "a proof among 100"
CROWD = "30 beacons at once, 10 proofs each"
BURST = "an NFC signature, 300 at once"
CODES = "a flash code issued"
ONE_PROCESS = "a proof by itself, one process"
