"""The only place that joins edges to core: each module puts one process together."""
