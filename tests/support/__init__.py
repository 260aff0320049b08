"""What the tests share: servers they start, clients, and counters."""
