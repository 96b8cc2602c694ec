"""Does what happens to a call, from the queue to the lead."""
