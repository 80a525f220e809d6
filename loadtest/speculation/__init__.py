"""What drafts from a device are worth: every link, against server-only streaming."""
