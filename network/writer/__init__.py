"""The OVN writer: the one process at a time that brings OVN to what the rows of `network` want (ARCHITECTURE §4)."""
