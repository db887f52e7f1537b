"""What the services need of the world, as Protocols with their values; fakes are held to the same contract suite."""
