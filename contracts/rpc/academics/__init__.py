"""gRPC contract of academics_svc."""
