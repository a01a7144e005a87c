"""What an attempt costs, beside what this machine can do at all."""
