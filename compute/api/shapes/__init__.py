"""Shapes of the answers of the compute API at 2.1: one module a theme. Those of its bodies stand with their handlers, or in `bodies`."""
