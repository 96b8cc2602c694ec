"""Twilio's Calls API without phones."""
