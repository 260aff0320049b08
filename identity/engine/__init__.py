"""The one place that talks to directories (LDAP). Loaded where a domain has one, and by nobody else."""
