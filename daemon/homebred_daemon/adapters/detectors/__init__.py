"""First detection tier: compiled patterns with checksums, secrets, markers and source code, as tables of our own."""
