"""Long work on servers: what moves rows on which several hosts or services must agree."""
