"""`make bench`: real processes and servers; each figure beside a floor that was measured in the same run."""
