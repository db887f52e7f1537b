"""homebred-fleet: the central controller of a fleet of devices."""
