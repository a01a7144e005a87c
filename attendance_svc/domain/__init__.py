"""How attendance is judged. Pure: no I/O, no clock."""
