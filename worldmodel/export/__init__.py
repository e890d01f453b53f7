"""A run's network, and recordings, for programs that have not this package."""
