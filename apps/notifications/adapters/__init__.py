"""What leaves the house: mail by SMTP, chat by incoming webhooks. Called by services, outside transactions."""
