"""What identity_svc can be asked to do: one function per intent."""
