"""Shapes of identity's bodies, queries and answers: one module a theme; `answers` and `query` for what they share."""
