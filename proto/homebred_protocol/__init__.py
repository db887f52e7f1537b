"""What device, worker and controller agree on: messages, documents and names."""
