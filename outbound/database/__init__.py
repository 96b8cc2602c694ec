"""The schema, who may use it, and its backups."""
