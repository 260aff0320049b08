"""The flows of volumes and snapshots."""
