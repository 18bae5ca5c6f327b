"""Real processes beside what people really have: brokers, schedulers, batches, agents of others, Django."""
