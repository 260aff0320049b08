"""Shapes of the answers of the network API: one module a noun, and `resource` for what they share."""
