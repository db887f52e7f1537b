"""What the services need of the world, as Protocols; adapters fill them, fakes are held to the same contract suite."""
