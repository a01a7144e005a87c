"""gRPC contract of attendance_svc."""
