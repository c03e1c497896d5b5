"""From a plan to what happened: the durable engine, its steps, and their verification."""
