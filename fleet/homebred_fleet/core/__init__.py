"""What the controller decides, pure: no I/O, no clock, no randomness."""
