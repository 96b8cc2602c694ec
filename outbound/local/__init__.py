"""One machine, nothing configured: embedded servers, all processes, a demo."""
