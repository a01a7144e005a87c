"""The operators' command, `rollcall`: starts the stack, plays the demo, runs the services' own commands."""
