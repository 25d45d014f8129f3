"""The benchmark: the same job on this product and on its peers, on one broker, in one run."""
