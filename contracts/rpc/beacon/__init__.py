"""gRPC contract of beacon_svc."""
