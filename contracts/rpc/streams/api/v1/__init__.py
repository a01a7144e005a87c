"""gRPC contract of every log."""
