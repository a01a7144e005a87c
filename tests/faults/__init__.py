"""What breaks a running system, and the table of what that must not do: `python -m tests.faults`."""
