"""The link with the fleet: an enrolled device in step with its controller."""
