"""The peers of the mail side: each publishes, does and mails the same jobs at its best safe setting."""
