"""The edge: one door for everything outside."""
