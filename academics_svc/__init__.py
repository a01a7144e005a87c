"""Schools, rooms, groups and courses."""
