"""What academics can be asked to do: one function per intent."""
