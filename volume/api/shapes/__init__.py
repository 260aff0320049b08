"""Shapes of the bodies and answers of the volume API at 3.0: one module a theme."""
