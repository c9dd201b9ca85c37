"""What leaves the house: mail by SMTP, chat by webhooks, browser push. Called by services, outside transactions."""
