"""Grafana dashboards as code. What Grafana loads are the JSON files beside it: `poe dashboards` writes them."""
