"""What may be done about alerts and cases: decisions by alerts, by people and by time; contact rules. Pure."""
