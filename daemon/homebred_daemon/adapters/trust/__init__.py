"""What is signed for this device: fetched, checked in a process of its own, and kept."""
