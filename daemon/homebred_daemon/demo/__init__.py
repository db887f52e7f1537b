"""The demo: specialists, golden sets and tasks of a clinic, a kiosk and a factory, and the story that runs them."""
