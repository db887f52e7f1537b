"""The engine worker's side: one process, one base model; knows nothing of daemon or fleet."""
