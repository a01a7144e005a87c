"""What can be read of academics: as it is now, and as it was recorded at a moment."""
