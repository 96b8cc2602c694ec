"""Events for applications, the endpoints that receive them, and their delivery."""
