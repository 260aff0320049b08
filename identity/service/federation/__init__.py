"""Users for whom another identity provider vouches: the providers, the mapping engine, access tokens, and what a log-in makes here."""
