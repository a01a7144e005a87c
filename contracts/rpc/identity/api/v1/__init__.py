"""gRPC contract of identity_svc."""
