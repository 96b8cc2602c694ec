"""`make runbook`: every command of the runbook on a booted system, and every alert caused, mended and gone."""
