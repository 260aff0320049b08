"""Volumes in RBD: the only place of the volume service that talks to the block store."""
