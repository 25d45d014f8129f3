"""How the shell meets Kafka: `connection` for the clients of aiokafka, `topics` for what must be there."""
