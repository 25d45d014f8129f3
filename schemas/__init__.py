"""The wire contract: what producers write, what subscribers read. Depends on nothing else in the project."""
