"""The HTTP API and the console: requests, pages and rights. What may be done is decided in `streams.casework`."""
